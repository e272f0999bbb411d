//! Wiring: config → telemetry → pool → nats → run → drain.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use messaging::{
    Nats, Settings,
    runtime::{self, RuntimeSettings},
};
use saga_orchestrator::{SagaOrchestrator, config::Config, handlers};
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use telemetry::operations::{self, Readiness};
use tokio_util::sync::CancellationToken;

/// Connections for handlers; each holds one for a transaction of a few statements.
const CONNECTIONS_MAX: u32 = 8;
/// A handler that finds no connection in this time says so, and its message comes again.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: Config = service_config::parse();
    let telemetry = telemetry::init(
        "saga-orchestrator",
        &config.operations.log_filter,
        config.operations.otlp_endpoint(),
    )?;
    let shutdown = telemetry::shutdown_signal();

    let database: PgConnectOptions = config.database.url().expose_secret().parse().context("DATABASE_URL")?;
    let database = database.application_name("saga-orchestrator");
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(database.clone());

    // Answers until everything else has stopped, so that a drain can be watched.
    let stopped = CancellationToken::new();
    let readiness = Readiness::new();
    let (_, operations) = operations::serve(config.operations.addr, readiness.clone(), stopped.clone())
        .await
        .context("OPS_ADDR")?;

    let nats = Nats::connect(Settings {
        url: config.nats.url,
        user: config.nats.user,
        password: config.nats.password.get().clone(),
    })
    .await?;
    let settings = RuntimeSettings { database, pool, nats, followed: None, readiness };
    runtime::run(handlers::subscriptions(), Arc::new(SagaOrchestrator), settings, shutdown).await;

    stopped.cancel();
    operations.await?;
    telemetry.shutdown().await;
    Ok(())
}
