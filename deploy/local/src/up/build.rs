//! Builds what `cargo up` runs, with cargo's own output in sight.

use super::provision::NATS_ADMIN;
use crate::sources;
use anyhow::{Context, ensure};
use contracts::Service;
use std::path::PathBuf;

/// The programs that stand in for the outside world.
pub const SIMULATORS: [&str; 2] = ["digitalocean-sim", "finance-sim"];

/// Publishes usage for `cargo arcadia usage`.
pub const USAGE_PUBLISHER: &str = "usage-publisher";

/// Where the binaries are: beside our own, which cargo built in the same way.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("find our own binary")?;
    let folder = own.parent().context("our binary is in a folder")?;
    Ok(folder.join(name))
}

/// Builds the services and the simulators, in the profile that we were built in.
pub async fn build() -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = tokio::process::Command::new(cargo);
    command.arg("build").current_dir(sources::repo_root());
    if sources::repo_root().join(".sqlx").is_dir() {
        // The queries are checked against the files in .sqlx, whatever database the developer's shell names.
        command.env("SQLX_OFFLINE", "true").env_remove("DATABASE_URL");
    }
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let services = Service::ALL.iter().map(|service| service.name());
    for package in services.chain(SIMULATORS).chain([NATS_ADMIN, USAGE_PUBLISHER]) {
        command.args(["--package", package]);
    }
    let status = command.status().await.context("run cargo build")?;
    ensure!(status.success(), "cargo build failed; if a query has no cached data, run: cargo arcadia sqlx");
    Ok(())
}
