//! Wiring: configuration, telemetry, verifier, NATS, router, then serve until told to stop.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context;
use gateway_api::{
    auth::{Verifier, secret},
    clock,
    config::Config,
    edge::{Cors, Edge},
    gateway::Gateway,
    rotation,
    server::{self, Listening},
};
use messaging::Nats;
use secrecy::ExposeSecret;
use telemetry::operations::{self, Readiness};

fn main() -> anyhow::Result<ExitCode> {
    let config: Config = service_config::parse();
    let verifier = match Verifier::new(&config.tokens(), clock::unix_seconds()) {
        Ok(verifier) => verifier,
        Err(error) => {
            eprintln!("error: {:#}", anyhow::Error::new(error).context("JWT_SECRET or JWT_SECRET_PREVIOUS"));
            return Ok(ExitCode::from(64));
        }
    };
    tokio::runtime::Runtime::new().context("start the runtime")?.block_on(run(config, verifier))?;
    Ok(ExitCode::SUCCESS)
}

async fn run(config: Config, verifier: Verifier) -> anyhow::Result<()> {
    let telemetry =
        telemetry::init("gateway-api", &config.operations.log_filter, config.operations.otlp_endpoint())?;
    if config.jwt_secret.get().expose_secret().len() < secret::BYTES_ENOUGH {
        tracing::warn!("JWT_SECRET is shorter than the {} bytes that HS512 deserves", secret::BYTES_ENOUGH);
    }
    let shutdown = telemetry::shutdown_signal();
    let hangups = rotation::hangups().context("handle SIGHUP")?;
    let nats = Nats::connect(messaging::Settings {
        url: config.nats.url.clone(),
        user: config.nats.user.clone(),
        password: config.nats.password.get().clone(),
    })
    .await?;

    let readiness = Readiness::new();
    let connection = nats.clone();
    readiness.check("nats", move || connection.check());
    let served = operations::serve(config.operations.addr, readiness.clone(), Default::default());
    let (_, operations_port) = served.await.context("open the operations port")?;

    let listening = match config.listen_fd {
        Some(_) => Listening::from_stdin().context("take the listening socket from standard input")?,
        None => Listening::bind(config.http_addr)
            .await
            .with_context(|| format!("listen on {}", config.http_addr))?,
    };
    let cors = if config.cors_dev { Cors::Development } else { Cors::Deployed };
    tracing::info!(http.addr = %listening.addr()?, http.cors = ?cors, "serving");

    let draining = shutdown.clone();
    let not_ready = tokio::spawn(async move {
        draining.cancelled().await;
        readiness.drain();
    });
    let gateway = Gateway::new(verifier, nats, shutdown.clone());
    let rotating = tokio::spawn(rotation::follow(hangups, gateway.keys.clone()));
    server::serve(listening, Arc::new(Edge::new(&gateway, cors)), shutdown).await;

    not_ready.await.context("leave readiness")?;
    rotating.abort();
    operations_port.abort();
    telemetry.shutdown().await;
    Ok(())
}
