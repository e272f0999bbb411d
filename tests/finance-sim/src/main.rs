//! The simulator as a process: prints where it listens as one line of JSON, and ends on SIGTERM or SIGINT.

use std::io::Write;

use anyhow::Context;
use clap::Parser;
use finance_sim::{Options, Simulator};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let simulator = Simulator::start(Options::parse()).await.context("start")?;
    let line = serde_json::json!({"url": simulator.url(), "control_url": simulator.control_url()});
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).context("print the addresses")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    simulator.stop().await;
    Ok(())
}
