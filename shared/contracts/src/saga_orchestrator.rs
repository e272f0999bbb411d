//! What saga-orchestrator announces, and what one may ask of it. Sagas have no messages yet; it answers for
//! its parked messages ([`crate::parked`]) like every service.
