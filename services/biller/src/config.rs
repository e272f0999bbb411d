//! What biller is told.

use service_config::{Database, Nats, Operations};

/// Costs, catalog, deployments, invoices and margin.
#[derive(Debug, clap::Parser)]
#[command(name = "biller", version)]
pub struct Config {
    /// Deployments that are neither cancelled nor archived that a tenant may have by its own doing; operators create
    /// more.
    #[arg(id = "DEPLOYMENTS_PER_TENANT_MAX", long = "deployments-per-tenant-max", env = "DEPLOYMENTS_PER_TENANT_MAX", value_name = "DEPLOYMENTS_PER_TENANT_MAX", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub deployments_per_tenant_max: u32,
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
