//! Everything this service reacts to; read this file first.

mod last_resource;

use contracts::{Service, syncer::LastResource};
use messaging::Subscriptions;

use crate::Biller;

/// The table.
pub fn subscriptions() -> Subscriptions<Biller> {
    Subscriptions::new(Service::Biller).state::<LastResource>() // last_resource.rs
}
