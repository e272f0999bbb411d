//! `cargo arcadia tail`: messages as they come, as the user `operator`, who may read and not write.

use crate::environment;
use crate::state::StateDir;
use crate::up::{NATS_ADMIN, binary};
use anyhow::Context;
use std::path::PathBuf;
use std::process::ExitCode;

/// What to listen to.
#[derive(Debug, clap::Args)]
pub struct TailOptions {
    /// `evt.syncer.>`, `evt.>`, `parked.>`, ….
    #[arg(default_value = "evt.>")]
    pub subject: String,
    /// The state folder [default: .arcadia in the checkout].
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// Hands over to `nats-admin`, which `cargo up` built. Only `messaging` speaks NATS, and this crate does without
/// `messaging` so that it compiles when the query data is stale.
pub async fn run(options: &TailOptions) -> anyhow::Result<ExitCode> {
    let state = StateDir::open(options.state.as_deref())?;
    let variables = environment::read(&state.env_file())?;
    let take = |name: &str| {
        let missing = || format!("{} has no {name}; is the system running?", state.env_file().display());
        variables.get(name).with_context(missing)
    };
    let mut command = tokio::process::Command::new(binary(NATS_ADMIN)?);
    command
        .args(["tail", &options.subject])
        .env("NATS_URL", take("NATS_URL")?)
        .env("NATS_USER", take("OPERATOR_NATS_USER")?)
        .env("NATS_PASSWORD", take("OPERATOR_NATS_PASSWORD")?);
    let status = command.status().await.context("run nats-admin")?;
    // Ended by Ctrl-C it has no code, and that is how one ends it.
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(0);
    Ok(ExitCode::from(code))
}
