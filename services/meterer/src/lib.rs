//! Usage: how much of what is sold was used, by whom and when. It never knows a price.
//!
//! Read [`handlers`] first: it lists everything that meterer reacts to. [`domain`] decides, [`store`] writes.

pub mod clock;
pub mod config;
pub mod domain;
pub mod handlers;
pub mod ingest;
pub mod store;

use std::sync::Arc;

use sqlx::PgPool;

/// What handlers work with.
pub struct Meterer {
    /// What time it is.
    pub clock: Arc<dyn clock::Clock>,
    /// For jobs of many steps, each in a transaction of its own.
    pub pool: PgPool,
}
