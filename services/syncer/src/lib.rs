//! The inventory of the provider's account: what there is, whose it is, and what happened to it.
//!
//! Read [`handlers`] first: it lists everything that syncer reacts to. [`walk`] reads the provider, [`domain`]
//! decides, [`store`] writes.

pub mod clock;
pub mod config;
pub mod domain;
pub mod handlers;
pub mod provider;
pub mod store;
pub mod walk;

use std::sync::Arc;

use sqlx::PgPool;

/// What handlers work with.
pub struct Syncer {
    /// For the pages of a walk, each in a transaction of its own.
    pub pool: PgPool,
    /// The provider's clients.
    pub provider: provider::Provider,
    /// What time it is.
    pub clock: Arc<dyn clock::Clock>,
}
