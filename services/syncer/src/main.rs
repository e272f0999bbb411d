//! Wiring: configuration, telemetry, database, NATS, then the subscriptions until told to stop.

use std::{process::ExitCode, str::FromStr, sync::Arc, time::Duration};

use anyhow::Context;
use messaging::{Nats, runtime};
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use syncer::{Syncer, clock::SystemClock, config::Config, handlers, provider::Provider};
use telemetry::operations::{self, Readiness};

/// Nine listings at most write at once, and take turns; the rest is for requests.
const CONNECTIONS_MAX: u32 = 16;
/// A caller waits no longer for a connection; then it hears that the database cannot be reached.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

fn main() -> anyhow::Result<ExitCode> {
    let config: Config = service_config::parse();
    let provider = match config.provider() {
        Ok(provider) => provider,
        Err(error) => {
            eprintln!("error: {:#}", anyhow::Error::new(error));
            return Ok(ExitCode::from(64));
        }
    };
    tokio::runtime::Runtime::new().context("start the runtime")?.block_on(run(config, provider))?;
    Ok(ExitCode::SUCCESS)
}

async fn run(config: Config, provider: Provider) -> anyhow::Result<()> {
    let telemetry =
        telemetry::init("syncer", &config.operations.log_filter, config.operations.otlp_endpoint())?;
    let shutdown = telemetry::shutdown_signal();
    let readiness = Readiness::new();
    let served = operations::serve(config.operations.addr, readiness.clone(), Default::default());
    let (_, operations_port) = served.await.context("open the operations port")?;

    let database = PgConnectOptions::from_str(config.database.url().expose_secret())
        .context("read DATABASE_URL")?
        .application_name("syncer")
        .options([("search_path", "syncer")]);
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(database.clone());
    let nats = Nats::connect(messaging::Settings {
        url: config.nats.url.clone(),
        user: config.nats.user.clone(),
        password: config.nats.password.get().clone(),
    })
    .await?;

    let syncer = Syncer { pool: pool.clone(), provider, clock: Arc::new(SystemClock) };
    let settings = runtime::RuntimeSettings { database, pool, nats, followed: None, readiness };
    runtime::run(handlers::subscriptions(), Arc::new(syncer), settings, shutdown).await;

    operations_port.abort();
    telemetry.shutdown().await;
    Ok(())
}
