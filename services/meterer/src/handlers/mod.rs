//! Everything this service reacts to; read this file first.

mod last_resource;

use contracts::{Service, syncer::LastResource};
use messaging::Subscriptions;

use crate::Meterer;

/// The table.
pub fn subscriptions() -> Subscriptions<Meterer> {
    Subscriptions::new(Service::Meterer).state::<LastResource>() // last_resource.rs
}
