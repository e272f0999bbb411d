//! `cargo check-all`: everything that must hold before a change lands, in the order in which it fails fastest.

use std::{
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Context, ensure};

use super::sqlx_data::{self, SqlxOptions};
use crate::{install, sources};

/// Runs every check and stops at the first that fails.
pub async fn run() -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    step("formatting", &["fmt", "--all", "--check"], &[])?;
    step("repository rules", &["test", "--package", "arcadia-tests", "--test", "repo"], &[])?;

    // Tests run side by side; what they all need is installed once, with its progress on the screen.
    eprintln!("\n== servers");
    tokio::task::spawn_blocking(|| {
        install::ensure_nats_server().context("install nats-server")?;
        install::ensure_postgres().context("install Postgres").map(drop)
    })
    .await
    .context("install the servers")??;

    eprintln!("\n== query data");
    let code = sqlx_data::run(&SqlxOptions { check: true }).await?;
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    step("lints", &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"], &[])?;
    step("documentation", &["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "--deny warnings")])?;
    step("programs", &["build", "--workspace", "--bins"], &[])?;
    step("tests", &["test", "--workspace", "--no-fail-fast"], &[])?;
    eprintln!("\nEverything holds, after {} s.", begun.elapsed().as_secs());
    Ok(ExitCode::SUCCESS)
}

fn step(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<()> {
    eprintln!("\n== {name}: cargo {}", arguments.join(" "));
    let begun = Instant::now();
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(arguments)
        .current_dir(sources::repo_root())
        // The committed query data, whatever database the caller's shell knows.
        .env("SQLX_OFFLINE", "true")
        .envs(environment.iter().copied())
        .status()
        .context("run cargo")?;
    ensure!(status.success(), "{name} failed: cargo {}", arguments.join(" "));
    eprintln!("== {name}: {} s", begun.elapsed().as_secs());
    Ok(())
}
