//! What meterer is told.

use service_config::{Database, Nats, Operations};

/// Usage of every deployment.
#[derive(Debug, clap::Parser)]
#[command(name = "meterer", version)]
pub struct Config {
    /// The schema `meterer`.
    #[command(flatten)]
    pub database: Database,
    /// The user `meterer`.
    #[command(flatten)]
    pub nats: Nats,
    /// Health, metrics, log, traces.
    #[command(flatten)]
    pub operations: Operations,
}
