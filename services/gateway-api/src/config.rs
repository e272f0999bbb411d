//! What the gateway is told at start. Everything is checked before a socket opens.

use std::net::SocketAddr;

use clap::{ArgAction, Parser, builder::BoolishValueParser};
use service_config::{Nats, Operations, OptionalSecret, Secret, SecretName};

use crate::auth;

/// HTTP and server-sent events in front of the services.
#[derive(Debug, Clone, Parser)]
#[command(name = "gateway-api", version, about)]
pub struct Config {
    /// Where HTTP is served; port 0 takes a free one and logs it.
    #[arg(
        id = "HTTP_ADDR",
        long = "http-addr",
        env = "HTTP_ADDR",
        value_name = "HTTP_ADDR",
        default_value = "127.0.0.1:4005"
    )]
    pub http_addr: SocketAddr,

    /// 0 when standard input is a socket that is already bound and listening, shared with the gateway that
    /// is being replaced; HTTP_ADDR is not used then.
    #[arg(id = "LISTEN_FD", long = "listen-fd", env = "LISTEN_FD", value_name = "LISTEN_FD", value_parser = clap::value_parser!(u8).range(0..=0))]
    pub listen_fd: Option<u8>,

    /// What user tokens are signed with.
    #[command(flatten)]
    pub jwt_secret: Secret<JwtSecret>,

    /// The secret before the last rotation.
    #[command(flatten)]
    pub jwt_secret_previous: OptionalSecret<JwtSecretPrevious>,

    /// The issuer that tokens must name.
    #[arg(
        id = "JWT_ISSUER",
        long = "jwt-issuer",
        env = "JWT_ISSUER",
        value_name = "JWT_ISSUER",
        default_value = "arcadia"
    )]
    pub jwt_issuer: String,

    /// The audience that tokens must name; the issuer when left out.
    #[arg(id = "JWT_AUDIENCE", long = "jwt-audience", env = "JWT_AUDIENCE", value_name = "JWT_AUDIENCE")]
    pub jwt_audience: Option<String>,

    /// How many seconds the issuer's clock may differ from ours, 0 to 60.
    #[arg(id = "JWT_LEEWAY_SECONDS", long = "jwt-leeway-seconds", env = "JWT_LEEWAY_SECONDS", value_name = "JWT_LEEWAY_SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=60))]
    pub jwt_leeway_seconds: u64,

    /// Lets pages on http://localhost and any port of it read answers, instead of those below sky-ai.com.
    #[arg(id = "CORS_DEV", long = "cors-dev", env = "CORS_DEV", value_name = "CORS_DEV", default_value = "false", default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    pub cors_dev: bool,

    /// NATS.
    #[command(flatten)]
    pub nats: Nats,

    /// Health, log, traces.
    #[command(flatten)]
    pub operations: Operations,
}

/// Names `JWT_SECRET`.
pub struct JwtSecret;

impl SecretName for JwtSecret {
    const VARIABLE: &'static str = "JWT_SECRET";
    const HELP: &'static str = "What user tokens are signed with: at least 32 bytes, used as they are";
}

/// Names `JWT_SECRET_PREVIOUS`.
pub struct JwtSecretPrevious;

impl SecretName for JwtSecretPrevious {
    const VARIABLE: &'static str = "JWT_SECRET_PREVIOUS";
    const HELP: &'static str = "The secret before the last rotation, whose tokens are still taken";
}

impl Config {
    /// What tokens are compared with.
    pub fn tokens(&self) -> auth::Settings {
        auth::Settings {
            secret: self.jwt_secret.get().clone(),
            previous: self.jwt_secret_previous.get().cloned(),
            issuer: self.jwt_issuer.clone(),
            audience: self.jwt_audience.clone().unwrap_or_else(|| self.jwt_issuer.clone()),
            leeway_seconds: self.jwt_leeway_seconds,
        }
    }
}
