//! What the simulator can be told at start.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

use crate::lifecycle::Lags;
use crate::limits::Rates;

/// An honest simulator of the DigitalOcean API, with a control port.
#[derive(Debug, Clone, Parser)]
#[command(name = "digitalocean-sim", version)]
pub struct Options {
    /// Where the API listens; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub addr: SocketAddr,
    /// Where the control port listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub control_addr: SocketAddr,
    /// A file that holds the account between runs.
    #[arg(long)]
    pub state: Option<PathBuf>,
    /// Tokens that are admitted; without any, whatever begins with `dop_v1_`.
    #[arg(long, value_delimiter = ',')]
    pub tokens: Vec<String>,
    /// Delays are divided by this.
    #[arg(long, default_value_t = 1.0)]
    pub time_scale: f64,
    /// What generated ids follow from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Begin with a small believable account, unless the state file has one.
    #[arg(long)]
    pub demo: bool,
    /// Calls per token in an hour; 0 is no limit.
    #[arg(long, default_value_t = 5000)]
    pub per_hour: usize,
    /// Calls per token in a minute; 0 is no limit.
    #[arg(long, default_value_t = 250)]
    pub burst_per_minute: usize,
    /// Seconds for which a new droplet answers 404 by id.
    #[arg(long, default_value_t = 0.0)]
    pub create_hidden_s: f64,
    /// Seconds for which a new droplet is missing from listings.
    #[arg(long, default_value_t = 2.0)]
    pub create_unlisted_s: f64,
    /// Seconds for which a snapshot is missing after its action completed.
    #[arg(long, default_value_t = 5.0)]
    pub snapshot_lag_s: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self::parse_from(["digitalocean-sim"])
    }
}

impl Options {
    /// The rate limit of each token.
    pub fn rates(&self) -> Rates {
        Rates { per_hour: self.per_hour, burst_per_minute: self.burst_per_minute }
    }

    /// Lags, in the provider's seconds.
    pub fn lags(&self) -> Lags {
        Lags {
            create_hidden_s: self.create_hidden_s,
            create_unlisted_s: self.create_unlisted_s,
            snapshot_s: self.snapshot_lag_s,
        }
    }
}
