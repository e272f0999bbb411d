//! The program behind `cargo arcadia usage`: an order as JSON on standard input, what was published as JSON on
//! standard output, how it goes on standard error.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use local::usage::{Order, Published};
use messaging::{Nats, Settings};
use secrecy::SecretString;
use usage_publisher::publish;

/// Publishes usage as arcadia-llm-gateway would.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The server, or several separated by commas.
    #[arg(long, env = "NATS_URL")]
    nats_url: String,
    /// `llm-gateway`.
    #[arg(long, env = "NATS_USER")]
    nats_user: String,
    /// That user's password.
    #[arg(long, env = "NATS_PASSWORD", hide_env_values = true)]
    nats_password: SecretString,
}

/// Between two lines that say how far it is.
const PROGRESS: Duration = Duration::from_secs(5);

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
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .init();
    let mut order = String::new();
    std::io::stdin().read_to_string(&mut order).context("read the order")?;
    let Order { plan, pace } = serde_json::from_str(&order).context("read the order")?;
    let settings = Settings { url: args.nats_url, user: args.nats_user, password: args.nats_password };
    let nats = Nats::connect(settings).await?;

    let begun = Instant::now();
    let mut told = begun;
    let published = publish(&nats, plan.traffic()?, pace, |published| {
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            eprintln!("{}", line(published, plan.count, begun));
        }
    })
    .await?;
    eprintln!("{}", line(&published, plan.count, begun));
    println!("{}", serde_json::to_string(&published)?);
    Ok(())
}

fn line(published: &Published, count: u64, begun: Instant) -> String {
    let milliseconds = begun.elapsed().as_millis().max(1);
    let rate = u128::from(published.acknowledged) * 1_000 / milliseconds;
    format!("{} of {count} acknowledged, {rate}/s, {} sent again", published.acknowledged, published.repeated)
}
