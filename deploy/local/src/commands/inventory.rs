//! `cargo arcadia inventory`: what the account holds, by kind.

use crate::gateway::Gateway;
use std::path::PathBuf;

/// Which system.
#[derive(Debug, clap::Args)]
pub struct InventoryOptions {
    /// The state folder [default: .arcadia in the checkout].
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// Prints a line per kind.
pub async fn run(options: &InventoryOptions) -> anyhow::Result<()> {
    for (kind, count) in Gateway::of(options.state.as_deref())?.resources_by_kind().await? {
        println!("{count:>7}  {kind}");
    }
    Ok(())
}
