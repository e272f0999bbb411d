//! `cargo arcadia republish`: rebuilds what NATS or a read model lost, by way of the gateway's operator endpoints.

use crate::gateway::Gateway;
use contracts::outbox::Republished;
use std::path::PathBuf;

/// What to publish again.
#[derive(Debug, clap::Args)]
pub struct RepublishOptions {
    /// The service whose outbox is published again.
    #[arg(required_unless_present = "state_of_inventory", conflicts_with = "state_of_inventory")]
    service: Option<String>,
    /// Only what was written at or after this time, such as 2026-11-24T13:20:00Z.
    #[arg(long, value_name = "TIME", requires = "service")]
    since: Option<String>,
    /// Tell the present state of every resource instead, for what the outbox no longer reaches back to.
    #[arg(long = "state-of-inventory")]
    state_of_inventory: bool,
    /// The state folder [default: .arcadia in the checkout].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Does it.
pub async fn run(options: &RepublishOptions) -> anyhow::Result<()> {
    let gateway = Gateway::of(options.state.as_deref())?;
    let since = options.since.as_deref().map(|since| format!("?since={since}")).unwrap_or_default();
    let path = match &options.service {
        Some(service) => format!("/api/v1/outbox/{service}/republish{since}"),
        None => "/api/v1/inventory/republish".to_owned(),
    };
    let republished: Republished = gateway.post(&path).await?;
    println!("{} messages are published again", republished.messages);
    Ok(())
}
