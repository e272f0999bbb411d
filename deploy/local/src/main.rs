//! The command behind `cargo up`, `cargo down` and `cargo arcadia`.

use clap::{Parser, Subcommand};
use local::commands::{check_all, inventory, parked, republish, sqlx_data, status, tail, token, usage};
use local::state::StateDir;
use local::up::{self, SystemOptions, UpOptions};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arcadia Cloud on this machine.
#[derive(Parser)]
#[command(name = "cargo arcadia", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build, install, start and show everything; Ctrl-C stops it.
    Up(UpOptions),
    /// Stop what `up --detach` left running.
    Down(StateOption),
    /// Print a development token.
    Token(token::TokenOptions),
    /// Show messages as they come: `tail 'evt.syncer.>'`.
    Tail(tail::TailOptions),
    /// Messages that could not be handled.
    Parked(parked::ParkedOptions),
    /// Publish again what NATS or a read model lost.
    Republish(republish::RepublishOptions),
    /// The inventory by kind.
    Inventory(inventory::InventoryOptions),
    /// Publish LLM usage as the gateway would, and say what it must come to.
    Usage(usage::UsageOptions),
    /// What runs, and whether it is ready.
    Status(StateOption),
    /// Refresh the query data in .sqlx from a database made by the migrations.
    Sqlx(sqlx_data::SqlxOptions),
    /// Run every check: formatting, rules, lints, documentation, tests.
    CheckAll,
    /// What `up --detach` leaves running.
    #[command(hide = true)]
    Supervise(SystemOptions),
}

#[derive(clap::Args)]
struct StateOption {
    /// The state folder [default: .arcadia in the checkout].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(options) => up::up(options).await,
        Command::Supervise(options) => up::supervise(options).await,
        Command::Down(option) => up::down(&StateDir::open(option.state.as_deref())?).await,
        Command::Token(options) => token::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Tail(options) => tail::run(&options).await,
        Command::Parked(options) => parked::run(&options).await.map(|()| ExitCode::SUCCESS),
        Command::Republish(options) => republish::run(&options).await.map(|()| ExitCode::SUCCESS),
        Command::Inventory(options) => inventory::run(&options).await.map(|()| ExitCode::SUCCESS),
        Command::Usage(options) => usage::run(&options).await,
        Command::Status(option) => status::run(&StateDir::open(option.state.as_deref())?).await,
        Command::Sqlx(options) => sqlx_data::run(&options).await,
        Command::CheckAll => check_all::run().await,
    }
}
