//! What can go wrong with a call, sorted by what the caller must do about it.

use std::{fmt, time::Duration};

use crate::{settings::Purpose, text};

/// Longest piece of the provider's words that is quoted.
const QUOTE_CHARS_MAX: usize = 300;

/// Which call, and on whose behalf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// `droplets.list`.
    pub operation: &'static str,
    /// The purpose of the token.
    pub purpose: Purpose,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.operation, self.purpose)
    }
}

/// Why a call brought no answer to work with. No message holds the token or a body.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The token is not valid: switch its purpose off and tell a person. Nothing is known to be gone.
    #[error("{call}: the provider does not accept the token")]
    Unauthorized {
        /// Which call.
        call: Call,
    },
    /// The token may not do this. Other families of the API may well work.
    #[error("{call}: the token lacks the permission")]
    Forbidden {
        /// Which call.
        call: Call,
    },
    /// There is no such thing. After a delete that is success; right after a create it can pass.
    #[error("{call}: not found")]
    NotFound {
        /// Which call.
        call: Call,
    },
    /// The present state forbids it (409).
    #[error("{call}: conflict: {message}")]
    Conflict {
        /// Which call.
        call: Call,
        /// The provider's error slug.
        id: String,
        /// The provider's words, escaped and cut.
        message: String,
    },
    /// Any other 4xx: the provider understood and declined. It changed nothing.
    #[error("{call}: refused with {status}: {message}")]
    Refused {
        /// Which call.
        call: Call,
        /// The HTTP status.
        status: u16,
        /// The provider's error slug.
        id: String,
        /// The provider's words, escaped and cut.
        message: String,
    },
    /// The rate limit is used up and waiting was not enough. Nothing was changed.
    #[error("{call}: out of rate budget for about {} s", retry_after.as_secs())]
    RateLimited {
        /// Which call.
        call: Call,
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// No answer, or one that says the provider is in trouble.
    #[error("{call}: the provider is unavailable")]
    Unavailable {
        /// Which call.
        call: Call,
        /// Whether the request may have reached the provider, and so may have taken effect.
        sent: bool,
        /// What happened.
        #[source]
        cause: Outage,
    },
    /// The answer is not what this operation answers. Of a write: it may have taken effect.
    #[error("{call}: malformed answer: {reason}")]
    Malformed {
        /// Which call.
        call: Call,
        /// Where and how, without the value that was found there.
        reason: String,
    },
    /// The answer's body is over the limit.
    #[error("{call}: the answer is longer than {bytes_max} bytes")]
    TooLarge {
        /// Which call.
        call: Call,
        /// The limit.
        bytes_max: usize,
    },
    /// The listing did not end within the limit.
    #[error("{call}: more than {pages_max} pages")]
    TooManyPages {
        /// Which call.
        call: Call,
        /// The limit.
        pages_max: u32,
    },
    /// The link to the next page leads to another host. Nothing was sent there.
    #[error("{call}: the next page is said to be on another host, {host}")]
    ForeignHost {
        /// Which call.
        call: Call,
        /// The host named, escaped and cut.
        host: String,
    },
    /// The link to the next page does not lead to the page that follows: a loop, or a gap.
    #[error("{call}: page {page} names page {next} as the next one")]
    PageLoop {
        /// Which call.
        call: Call,
        /// The page that was read.
        page: u32,
        /// The page it named.
        next: u64,
    },
    /// Two pages gave one id different contents: walk again.
    #[error("{call}: {id} came twice, with different contents")]
    Inconsistent {
        /// Which call.
        call: Call,
        /// The id, escaped and cut.
        id: String,
    },
    /// The walk has broken off before; what it gave so far is not the whole.
    #[error("{call}: the listing broke off before")]
    BrokenOff {
        /// Which call.
        call: Call,
    },
    /// An argument cannot be part of a request. Nothing was sent.
    #[error("{call}: {argument} cannot be sent")]
    Argument {
        /// Which call.
        call: Call,
        /// What is wrong.
        argument: &'static str,
    },
}

/// How the provider failed to answer.
#[derive(Debug, thiserror::Error)]
pub enum Outage {
    /// There was no connection, so nothing was sent.
    #[error("connect")]
    Connect(#[source] reqwest::Error),
    /// The connection broke, or spoke something other than HTTP.
    #[error("connection broke")]
    Broken(#[source] reqwest::Error),
    /// The answer was not complete in time.
    #[error("no complete answer within {} ms", .0.as_millis())]
    Deadline(Duration),
    /// A 5xx answer.
    #[error("the provider answered {0}")]
    Status(u16),
}

impl Error {
    /// Which call failed.
    pub fn call(&self) -> Call {
        match self {
            Self::Unauthorized { call }
            | Self::Forbidden { call }
            | Self::NotFound { call }
            | Self::Conflict { call, .. }
            | Self::Refused { call, .. }
            | Self::RateLimited { call, .. }
            | Self::Unavailable { call, .. }
            | Self::Malformed { call, .. }
            | Self::TooLarge { call, .. }
            | Self::TooManyPages { call, .. }
            | Self::ForeignHost { call, .. }
            | Self::PageLoop { call, .. }
            | Self::Inconsistent { call, .. }
            | Self::BrokenOff { call }
            | Self::Argument { call, .. } => *call,
        }
    }

    /// Whether a write that ended so may have changed the account all the same: look before repeating it.
    pub fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::Unavailable { sent, .. } => *sent,
            Self::Malformed { .. } | Self::TooLarge { .. } => true,
            Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::Refused { .. }
            | Self::RateLimited { .. }
            | Self::TooManyPages { .. }
            | Self::ForeignHost { .. }
            | Self::PageLoop { .. }
            | Self::Inconsistent { .. }
            | Self::BrokenOff { .. }
            | Self::Argument { .. } => false,
        }
    }
}

/// The provider's words, fit for a log line.
pub(crate) fn quote(raw: &str) -> String {
    text::bounded(raw, QUOTE_CHARS_MAX)
}
