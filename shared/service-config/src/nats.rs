//! Where NATS is, and who the service is there.

use crate::{InvalidUrl, Secret, SecretName, urls::nats_url};
use clap::Args;

/// `NATS_URL`, `NATS_USER`, `NATS_PASSWORD`.
#[derive(Debug, Clone, Args)]
pub struct Nats {
    /// NATS: nats://HOST:PORT (or tls://, ws://, wss://); several servers of one cluster with commas between.
    #[arg(id = "NATS_URL", long = "nats-url", env = "NATS_URL", value_name = "NATS_URL", value_parser = nats_urls)]
    pub url: String,

    /// The service's user in NATS.
    #[arg(id = "NATS_USER", long = "nats-user", env = "NATS_USER", value_name = "NATS_USER")]
    pub user: String,

    /// Its password.
    #[command(flatten)]
    pub password: Secret<NatsPassword>,
}

/// Names `NATS_PASSWORD`.
pub struct NatsPassword;

impl SecretName for NatsPassword {
    const VARIABLE: &'static str = "NATS_PASSWORD";
    const HELP: &'static str = "Password of the service's user in NATS";
}

/// Keeps the text: who connects takes it apart again.
fn nats_urls(text: &str) -> Result<String, InvalidUrl> {
    text.split(',').try_for_each(|url| nats_url(url).map(drop)).map(|()| text.to_owned())
}
