//! The shapes a handler can have. A service implements one of them per message, in a file of the message's name.

use std::future::Future;

use contracts::{Command, Message, Query};
use sqlx::PgConnection;

use crate::{
    envelope::Received,
    outcome::{HandlerError, Outcome, Refusal},
    scoped::ScopedTx,
};

/// Handles an event or a state with what Postgres can do alone, in a transaction that also holds the inbox row.
pub trait Handle<M: Message>: Send + Sync + 'static {
    /// Decides and saves. `Err` means unknown: everything rolls back and the message comes again.
    fn handle(
        &self,
        tx: &mut PgConnection,
        message: M,
        received: &Received,
    ) -> impl Future<Output = Result<Outcome, HandlerError>> + Send;
}

/// Carries out a command with what Postgres can do alone. The loop has inserted the inbox row of the
/// idempotency key in the same transaction, and stores the reply with it.
pub trait Execute<C: Command>: Send + Sync + 'static {
    /// Decides and saves. A refusal rolls everything back.
    fn execute(
        &self,
        tx: &mut PgConnection,
        command: C,
    ) -> impl Future<Output = Result<C::Reply, Refusal>> + Send;
}

/// Answers a query in a read-only transaction that already sees only what the query's scope allows.
pub trait Answer<Q: Query>: Send + Sync + 'static {
    /// Reads and answers.
    fn answer(&self, tx: &mut ScopedTx, query: Q) -> impl Future<Output = Result<Q::Reply, Refusal>> + Send;
}

/// Has an effect outside Postgres: intend, call, record. No transaction is open during the call.
pub trait Perform<M: Message>: Send + Sync + 'static {
    /// What was decided before the call.
    type Intent: Send + Sync;
    /// What the call found out.
    type Answer: Send;

    /// Decides what to do and records the intent.
    fn intend(
        &self,
        tx: &mut PgConnection,
        message: &M,
        received: &Received,
    ) -> impl Future<Output = Result<Intended<Self::Intent>, HandlerError>> + Send;

    /// Talks to the world outside. The same intent may be called again after a crash.
    fn call(&self, intent: &Self::Intent) -> impl Future<Output = Result<Self::Answer, HandlerError>> + Send;

    /// Saves what came of it, together with the message's inbox row.
    fn record(
        &self,
        tx: &mut PgConnection,
        intent: Self::Intent,
        answer: Self::Answer,
    ) -> impl Future<Output = Result<Outcome, HandlerError>> + Send;
}

/// Tells the present state of everything again, as the last word after a stream was rebuilt from the outbox: what
/// is published again comes after what is in a compacted stream, and must not stand as the last state there.
pub trait Restate: Send + Sync + 'static {
    /// Adds the events and says how many.
    fn restate(&self, tx: &mut PgConnection) -> impl Future<Output = Result<u64, Refusal>> + Send;
}

/// What `intend` decided.
#[derive(Debug)]
pub enum Intended<I> {
    /// Make the call.
    Call(I),
    /// Nothing to call; this is the outcome.
    Settled(Outcome),
}
