//! Streams, consumers and schedules as `nats/` says, and the first ticks: done by `nats-admin`, as in any deployment.
//!
//! A program of its own, not a dependency of this crate: it compiles only when the query data in `.sqlx` is current,
//! and this crate is what brings that up to date.

use super::build::binary;
use super::specs::Endpoints;
use crate::sources;
use anyhow::{Context, bail};
use contracts::permissions::{ADMIN, LLM_GATEWAY_ADMIN};
use std::process::Stdio;

/// The program.
pub const NATS_ADMIN: &str = "nats-admin";

/// Applies the files of the repository to both accounts. Doing it again changes nothing but what was edited there.
pub async fn apply(endpoints: &Endpoints) -> anyhow::Result<()> {
    provision(endpoints, LLM_GATEWAY_ADMIN, &[]).await?;
    provision(endpoints, ADMIN, &["--tick"]).await
}

async fn provision(endpoints: &Endpoints, user: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = tokio::process::Command::new(binary(NATS_ADMIN)?);
    command
        .arg("provision")
        .arg("--dir")
        .arg(sources::nats_dir())
        .args(arguments)
        .env("NATS_URL", &endpoints.nats_url)
        .env("NATS_USER", user)
        .env("NATS_PASSWORD", endpoints.nats_passwords.of(user))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("run {NATS_ADMIN}"))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!("{NATS_ADMIN} failed ({}): {}", output.status, String::from_utf8_lossy(&said).trim());
    }
    Ok(())
}
