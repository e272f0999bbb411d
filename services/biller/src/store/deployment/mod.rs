//! `cloud_deployments` with their subscriptions, their history, and the events that tell of them.
//!
//! Whoever changes a deployment, or its subscription, locks its row first ([`lock`], [`trials_over`],
//! [`periods_over`]) and writes through [`create`], [`subscribe`] or [`save`]: so versions grow by one, and events get
//! their places in the outbox in the order of the versions. What was locked is read after the lock, in a statement of
//! its own: one that waited would still show the subscription as it was before.

mod read;
mod republish;
mod write;

pub use read::{Filter, events, find, lock, lock_number, many, offered, page, periods_over, trials_over};
pub use republish::{Told, republish_state};
pub use write::{By, create, record_migration, save, subscribe};

/// A change could not be saved.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused.
    #[error("query the deployments")]
    Database(#[from] sqlx::Error),
    /// An event did not serialise.
    #[error("serialise an event of a deployment")]
    Event(#[from] serde_json::Error),
}

impl messaging::outcome::NotAProblem for StoreError {}
