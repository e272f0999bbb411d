//! How messages move: connection, requests, the one handler loop, outbox, inbox, parked messages, schedules.
//!
//! The only user of async-nats. Not for decisions: what a message means is its handler's business.
//! Postgres is the truth and NATS the nerve: an effect and its inbox row commit together, a change and its
//! outbox row commit together, and the acknowledgement comes after the commit.

pub mod batch;
pub mod connection;
pub mod discovery;
pub mod envelope;
pub mod failpoint;
pub mod follow;
pub mod handlers;
pub mod inbox;
pub mod outbox;
pub mod outcome;
pub mod page;
pub mod parked;
pub mod provision;
pub mod publisher;
pub mod request;
pub mod runtime;
pub mod scoped;
pub mod subscriptions;
pub mod tail;

mod consume;
mod housekeeping;
mod serve;

pub use connection::{Nats, Settings};
pub use envelope::Received;
pub use follow::{Follow, Position};
pub use handlers::{Answer, Execute, Handle, Intended, Perform, Restate};
pub use outcome::{HandlerError, Outcome, Refusal};
pub use request::{IdempotencyKey, Replied};
pub use scoped::ScopedTx;
pub use subscriptions::Subscriptions;
