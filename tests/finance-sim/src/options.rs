//! What the simulator can be told at start.

use std::net::SocketAddr;

use clap::Parser;

/// A simulator of skyai-finance with a control port.
#[derive(Debug, Clone, Parser)]
#[command(name = "finance-sim", version)]
pub struct Options {
    /// Where the API listens; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub addr: SocketAddr,
    /// Where the control port listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub control_addr: SocketAddr,
    /// The secret that callers sign their tokens with.
    #[arg(long, env = "FINANCE_JWT_SECRET", hide_env_values = true)]
    pub jwt_secret: String,
}
