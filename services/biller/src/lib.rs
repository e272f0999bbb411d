//! What is sold, to whom and for how much: catalog, deployments, quotes. It follows the inventory, so that it knows
//! what a bill's lines may mean.
//!
//! Read [`handlers`] first: it lists everything that biller reacts to. [`domain`] decides, [`store`] writes.

pub mod clock;
pub mod config;
pub mod domain;
pub mod handlers;
pub mod store;

use std::sync::Arc;

/// What handlers work with.
pub struct Biller {
    /// What time it is.
    pub clock: Arc<dyn clock::Clock>,
    /// How many deployments that are not over a tenant may have by its own doing.
    pub deployments_per_tenant_max: u32,
}
