//! What a handler says about a message.

use std::{error::Error, fmt, time::Duration};

use contracts::Problem;

/// What happens to the message next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Handled: acknowledge.
    Done,
    /// Not now: deliver again after this long.
    RetryAfter(Duration),
    /// No retry will help: set it aside for an operator, with the reason.
    Park(String),
    /// Not before something is known: set it aside with the reason, until whoever learns of the thing takes it
    /// up again ([`crate::parked::waiting_for`]).
    Await {
        /// Why it cannot be handled.
        reason: String,
        /// What it waits for, such as `deployment/<id>`.
        thing: String,
    },
}

/// The handler cannot tell what happened; the message is delivered again, with backoff, and parked before its
/// last delivery.
pub struct HandlerError(Box<dyn Error + Send + Sync>);

impl<E: Error + Send + Sync + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl HandlerError {
    /// Whether the database said that somebody else holds what we need; asking again is safe.
    pub fn is_busy(&self) -> bool {
        // 55P03 lock_not_available, 40001 serialization_failure, 40P01 deadlock_detected.
        self.database_code().is_some_and(|code| ["55P03", "40001", "40P01"].contains(&code.as_str()))
    }

    fn database_code(&self) -> Option<String> {
        Some(self.database_error()?.as_database_error()?.code()?.into_owned())
    }

    /// What the database said, however deep a store's own error wraps it.
    fn database_error(&self) -> Option<&sqlx::Error> {
        let mut error: Option<&(dyn Error + 'static)> = Some(self.0.as_ref());
        while let Some(current) = error {
            if let Some(database) = current.downcast_ref::<sqlx::Error>() {
                return Some(database);
            }
            error = current.source();
        }
        None
    }
}

/// The error and its causes on one line.
impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a request was not answered with what it asked for. Nothing was changed.
#[derive(Debug)]
pub enum Refusal {
    /// An answer: the caller gets it as it is.
    Problem(Box<Problem>),
    /// Unknown: logged, and the caller gets a 500 (or a 503 when asking again may help).
    Failed(HandlerError),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<Box<Problem>> for Refusal {
    fn from(problem: Box<Problem>) -> Self {
        Self::Problem(problem)
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Refusal
where
    E: NotAProblem,
{
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Errors that become [`Refusal::Failed`]; [`Problem`] is an error too and must not.
pub trait NotAProblem {}

impl NotAProblem for sqlx::Error {}
impl NotAProblem for serde_json::Error {}

impl HandlerError {
    /// Whether Postgres itself could not be used: not the message's fault, so it is never parked for it.
    pub fn is_infrastructure(&self) -> bool {
        self.database_error().is_some_and(is_outage)
    }
}

fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // Connection exceptions, insufficient resources, operator intervention.
        sqlx::Error::Database(error) => {
            // A statement that took too long (57014) is the statement's fault, and would be again.
            error.code().is_some_and(|code| {
                code != "57014" && ["08", "53", "57"].iter().any(|class| code.starts_with(class))
            })
        }
        _ => false,
    }
}
