//! What meterer announces, and what one may ask of it. Usage has no messages yet; it answers for its parked
//! messages ([`crate::parked`]) like every service.
