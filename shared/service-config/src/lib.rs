//! How a service is told what it needs: clap groups that services flatten, read once, checked before a socket opens.
//!
//! Not for deciding or connecting: a group holds values, and whoever connects takes them.
//!
//! Every setting is an environment variable and a flag of the same name (`NATS_URL`, `--nats-url`); every
//! secret also a file (`NATS_PASSWORD_FILE`, `--nats-password-file`).

mod database;
mod nats;
mod operations;
mod parse;
mod secret;
mod urls;

pub use database::Database;
pub use nats::Nats;
pub use operations::Operations;
pub use parse::{BAD_CONFIGURATION, Stop, parse, parse_again, try_parse_from};
pub use secret::{OptionalSecret, Secret, SecretName};
pub use urls::{InvalidUrl, http_url};
