//! What biller announces, and what one may ask of it. Costs, catalog and invoices have no messages yet; it
//! answers for its parked messages ([`crate::parked`]) like every service.
