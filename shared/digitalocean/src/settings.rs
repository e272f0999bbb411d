//! How a client is set up: where to, with whose token, within which limits.

use std::{fmt, sync::Arc, time::Duration};

use secrecy::SecretString;
use url::Url;

use crate::budget::Budget;

/// What a token is for. No purpose can exhaust the rate limit of another that has a token of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// The inventory that is looked at every minute.
    SyncFast,
    /// The rest of the inventory.
    SyncFull,
    /// The provider's bills.
    Billing,
    /// Every change to the account.
    Provisioning,
}

impl Purpose {
    /// Its name in logs, labels and errors.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SyncFast => "sync_fast",
            Self::SyncFull => "sync_full",
            Self::Billing => "billing",
            Self::Provisioning => "provisioning",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everything a [`Client`](crate::Client) needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the API is, without `/v2`. Nothing is ever sent to another host.
    pub base_url: Url,
    /// The bearer token.
    pub token: SecretString,
    /// What the token is for.
    pub purpose: Purpose,
    /// What no answer and no wait may exceed.
    pub limits: Limits,
    /// The rate budget of the token; share one among the clients of one token (see
    /// [`Budgets`](crate::Budgets)). `None` makes one for this client alone, of the size in `limits`.
    pub budget: Option<Arc<Budget>>,
    /// Gives the `traceparent` of the current span, which is the request's own.
    pub trace_header: Option<fn() -> Option<String>>,
}

impl Settings {
    /// Settings with the default limits.
    pub fn new(base_url: Url, token: SecretString, purpose: Purpose) -> Self {
        Self { base_url, token, purpose, limits: Limits::default(), budget: None, trace_header: None }
    }
}

/// Bounds on one client. The defaults are the ones to run with; tests and simulators use others.
#[derive(Debug, Clone)]
pub struct Limits {
    /// To make a connection, TLS included.
    pub connect: Duration,
    /// For one attempt from its first byte to the last of its answer, so that a slow drip ends too.
    pub total: Duration,
    /// Of one answer's body, after inflation.
    pub body_bytes_max: usize,
    /// Of an invoice's CSV, after inflation.
    pub csv_bytes_max: usize,
    /// Of one listing.
    pub pages_max: u32,
    /// Rows asked for per page; the provider allows 200.
    pub per_page: u32,
    /// Requests a minute and token: the provider's burst limit.
    pub budget_per_minute: u32,
    /// Requests an hour and token.
    pub budget_per_hour: u32,
    /// How long a call may stand in line for the budget before it gives up, unsent. The provider's window is
    /// an hour, so little more than that helps nobody.
    pub budget_wait_max: Duration,
    /// Repetitions after the first attempt.
    pub retries_max: u32,
    /// First pause before a repetition; it doubles from there, with jitter.
    pub backoff: Duration,
    /// Longest pause, whatever the provider asks for.
    pub wait_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            total: Duration::from_secs(30),
            body_bytes_max: 8 << 20,
            csv_bytes_max: 64 << 20,
            pages_max: 1000,
            per_page: 200,
            budget_per_minute: 250,
            budget_per_hour: 5000,
            budget_wait_max: Duration::from_secs(3700),
            retries_max: 4,
            backoff: Duration::from_millis(500),
            wait_max: Duration::from_secs(300),
        }
    }
}

/// The settings make no client.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Only a plain `http` or `https` address can be extended by a path and kept to.
    #[error("the provider's address must be http or https, with a host and without user, query or fragment")]
    Address,
    /// A header can hold visible ASCII only.
    #[error("the token is empty or holds characters that a header cannot")]
    Token,
    /// A limit of zero lets nothing through.
    #[error("the limit {0} must be above zero")]
    Limit(&'static str),
    /// The HTTP client could not be set up.
    #[error("set up the HTTP client")]
    Http(#[source] reqwest::Error),
}
