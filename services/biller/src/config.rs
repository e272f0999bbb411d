//! What biller is told.

use service_config::{Database, Nats, Operations};

/// Costs, catalog, deployments, invoices and margin.
#[derive(Debug, clap::Parser)]
#[command(name = "biller", version)]
pub struct Config {
    /// The schema `biller`.
    #[command(flatten)]
    pub database: Database,
    /// The user `biller`.
    #[command(flatten)]
    pub nats: Nats,
    /// Health, metrics, log, traces.
    #[command(flatten)]
    pub operations: Operations,
}
