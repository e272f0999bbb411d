//! The deploy job of NATS, and an operator's ear on it: `provision` applies the folder `nats/`, `tail` shows messages.
//!
//! Everything it does is `messaging`'s; it is a program because services never make streams.

use anyhow::Context;
use clap::{Parser, Subcommand};
use futures::StreamExt;
use messaging::{Nats, Received, Settings, provision};
use secrecy::SecretString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Applies nats/ to a server, and shows what is said on it.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The server, or several separated by commas.
    #[arg(long, env = "NATS_URL")]
    nats_url: String,
    /// `admin` and `llm-gateway-admin` to provision their accounts, `operator` to tail.
    #[arg(long, env = "NATS_USER")]
    nats_user: String,
    /// That user's password.
    #[arg(long, env = "NATS_PASSWORD", hide_env_values = true)]
    nats_password: SecretString,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make streams, durable consumers and schedules as the folder says. Doing it again changes nothing.
    Provision {
        /// Holds streams.json and schedules.json.
        #[arg(long, default_value = "nats")]
        dir: PathBuf,
        /// Put one tick of every schedule into the queue now, so that nobody waits for the first slots.
        #[arg(long)]
        tick: bool,
    },
    /// Show messages as they come.
    Tail {
        /// `evt.syncer.>`, `parked.>`, ….
        subject: String,
    },
}

/// How long a server may take to answer at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(LEVEL)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .init();
    let settings = Settings { url: args.nats_url, user: args.nats_user, password: args.nats_password };
    let nats = Nats::connect(settings).await?;
    wait_until_connected(&nats).await?;
    match args.command {
        Command::Provision { dir, tick } => {
            let applied = provision::apply(&nats, &dir).await?;
            println!("schedules changed: {}", list(&applied.schedules_changed));
            println!("schedules removed: {}", list(&applied.schedules_removed));
            if tick {
                provision::tick_now(&nats, &dir).await?;
            }
            Ok(())
        }
        Command::Tail { subject } => tail(&nats, &subject).await,
    }
}

/// Refusals of the server are warnings and errors, and must be seen; connecting is not worth a line.
const LEVEL: tracing_subscriber::filter::LevelFilter = tracing_subscriber::filter::LevelFilter::WARN;

async fn wait_until_connected(nats: &Nats) -> anyhow::Result<()> {
    let connected = async {
        while !nats.is_connected() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let why = || {
        format!("no answer within {} s: is NATS there, and is the password right?", CONNECT_WITHIN.as_secs())
    };
    tokio::time::timeout(CONNECT_WITHIN, connected).await.with_context(why)
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

async fn tail(nats: &Nats, subject: &str) -> anyhow::Result<()> {
    let mut messages = nats.tail_subject(subject).await?;
    nats.flush().await;
    // A refusal comes after the subscription seemed to succeed.
    tokio::time::sleep(Duration::from_millis(100)).await;
    nats.check().map_err(anyhow::Error::msg).with_context(|| format!("tail {subject}"))?;
    eprintln!("listening to {subject}");
    while let Some(message) = messages.next().await {
        // Whoever read the output is gone, as after `| head`.
        if show(&message).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn show(message: &Received) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", message.subject)?;
    for name in ["ce-id", "ce-type", "ce-time", "Arcadia-Tenant"] {
        if let Some(value) = message.headers.get(name) {
            writeln!(out, "  {name}: {value}")?;
        }
    }
    writeln!(out, "  {}", String::from_utf8_lossy(&message.body))?;
    out.flush()
}
