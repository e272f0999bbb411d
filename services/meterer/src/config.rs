//! What meterer is told.

use contracts::permissions::METERER_USAGE;
use service_config::{Database, Nats, Operations, Secret, SecretName};

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
    /// The user by which usage is read.
    #[command(flatten)]
    pub usage_nats: UsageNats,
    /// Health, metrics, log, traces.
    #[command(flatten)]
    pub operations: Operations,
}

/// `USAGE_NATS_USER`, `USAGE_NATS_PASSWORD`: who meterer is in the account where the LLM gateway publishes. The server is that
/// of `NATS_URL`.
#[derive(Debug, Clone, clap::Args)]
pub struct UsageNats {
    /// The user by which usage is read, in the LLM gateway's account.
    #[arg(
        id = "USAGE_NATS_USER",
        long = "usage-nats-user",
        env = "USAGE_NATS_USER",
        value_name = "USAGE_NATS_USER",
        default_value = METERER_USAGE
    )]
    pub user: String,

    /// Its password.
    #[command(flatten)]
    pub password: Secret<UsageNatsPassword>,
}

/// Names `USAGE_NATS_PASSWORD`.
pub struct UsageNatsPassword;

impl SecretName for UsageNatsPassword {
    const VARIABLE: &'static str = "USAGE_NATS_PASSWORD";
    const HELP: &'static str = "Password of the user by which usage is read";
}
