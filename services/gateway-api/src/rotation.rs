//! Rotating secrets: on SIGHUP they are read again, and whoever holds a token of one that is gone is refused.

use std::io;

use service_config::Stop;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    auth::{Keys, Verifier, VerifierError},
    clock,
    config::Config,
};

/// Why the secrets stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The configuration cannot be read any more.
    // Its first line names the setting; the rest explains the command line.
    #[error("read the configuration again: {}", .0.message.lines().next().unwrap_or_default())]
    Configuration(Stop),
    /// A secret cannot be used.
    #[error("use JWT_SECRET and JWT_SECRET_PREVIOUS")]
    Secret(#[from] VerifierError),
}

/// Catches SIGHUP from now on, which would end the process otherwise.
pub fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Reads the secrets again at every SIGHUP, for ever. Ones that cannot be used leave the old ones in force.
pub async fn follow(mut hangups: Signal, keys: Keys) {
    while hangups.recv().await.is_some() {
        match reread() {
            Ok(verifier) => {
                keys.replace(verifier);
                tracing::info!("the secrets for tokens were read again");
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "the secrets for tokens stay as they are");
            }
        }
    }
}

/// The whole configuration is read as at the start; only what judges tokens is taken from it.
fn reread() -> Result<Verifier, RotationError> {
    let config: Config = service_config::parse_again().map_err(RotationError::Configuration)?;
    Ok(Verifier::new(&config.tokens(), clock::unix_seconds())?)
}
