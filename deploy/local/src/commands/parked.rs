//! `cargo arcadia parked`: messages that a service could not handle, by way of the gateway's operator endpoints.

use crate::gateway::Gateway;
use clap::Subcommand;
use contracts::parked::{ParkedMessage, ParkedStatus, ParkedSummary};
use serde_json::Value;
use std::path::PathBuf;

/// What to do about them.
#[derive(Debug, clap::Args)]
pub struct ParkedOptions {
    #[command(subcommand)]
    command: ParkedCommand,
    /// The state folder [default: .arcadia in the checkout].
    #[arg(long, value_name = "DIR", global = true)]
    state: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum ParkedCommand {
    /// A line per message.
    List {
        /// `parked`, `replayed` or `dismissed`.
        #[arg(long, default_value = "parked", value_parser = parse_status)]
        status: ParkedStatus,
    },
    /// One message with headers and body.
    Show(Which),
    /// Have it handled again.
    Replay(Which),
    /// Leave it unhandled for good.
    Dismiss(Which),
}

/// Every service keeps its own.
#[derive(Debug, clap::Args)]
struct Which {
    /// The service that could not handle it.
    service: String,
    /// Its id, as `list` prints it.
    id: String,
}

impl Which {
    fn path(&self) -> String {
        format!("/api/v1/parked/{}/{}", self.service, self.id)
    }
}

fn parse_status(text: &str) -> Result<ParkedStatus, String> {
    serde_json::from_value(Value::from(text)).map_err(|_| "is parked, replayed or dismissed".to_owned())
}

/// Does it.
pub async fn run(options: &ParkedOptions) -> anyhow::Result<()> {
    let gateway = Gateway::of(options.state.as_deref())?;
    match &options.command {
        ParkedCommand::List { status } => {
            let parked: Vec<ParkedSummary> =
                gateway.all("/api/v1/parked", &[("status", status.as_str())]).await?;
            for message in &parked {
                print_line(message);
            }
            if parked.is_empty() {
                eprintln!("no message is {}", status.as_str());
            }
        }
        ParkedCommand::Show(which) => {
            let message: ParkedMessage = gateway.get(&which.path(), &[]).await?;
            print_line(&message.summary);
            println!("reason: {}", message.summary.reason);
            for (name, value) in &message.headers {
                println!("{name}: {value}");
            }
            println!("\n{}", message.body);
        }
        ParkedCommand::Replay(which) => print_line(&gateway.post(&format!("{}/replay", which.path())).await?),
        ParkedCommand::Dismiss(which) => {
            print_line(&gateway.post(&format!("{}/dismiss", which.path())).await?)
        }
    }
    Ok(())
}

fn print_line(message: &ParkedSummary) {
    println!(
        "{} {}  {}  {:<9}  {}  ({})",
        message.service,
        message.id,
        message.parked_at.format("%Y-%m-%d %H:%M:%S"),
        message.status.as_str(),
        message.subject,
        message.reason,
    );
}
