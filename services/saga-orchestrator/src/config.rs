//! What saga-orchestrator is told.

use service_config::{Database, Nats, Operations};

/// Sagas: what is done in steps, and undone when a step fails.
#[derive(Debug, clap::Parser)]
#[command(name = "saga-orchestrator", version)]
pub struct Config {
    /// The schema `saga_orchestrator`.
    #[command(flatten)]
    pub database: Database,
    /// The user `saga-orchestrator`.
    #[command(flatten)]
    pub nats: Nats,
    /// Health, metrics, log, traces.
    #[command(flatten)]
    pub operations: Operations,
}
