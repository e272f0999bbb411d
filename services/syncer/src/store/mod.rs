//! The tables of schema `syncer`. Only here is SQL.
//!
//! Everything that changes the inventory takes one lock first ([`lock_inventory`]), so that the events of a
//! resource get their places in the outbox in the order of its versions.

pub mod inventory;
pub mod known_deployment;
pub mod listing;
pub mod project;
pub mod resource;

use chrono::{DateTime, SubsecRound, Utc};
use sqlx::PgConnection;

/// "syncer" in ASCII: advisory locks are shared by everything in the database.
const INVENTORY_LOCK: i64 = 0x7379_6e63_6572;

/// A change could not be saved.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused.
    #[error("query the inventory")]
    Database(#[from] sqlx::Error),
    /// An event did not serialise.
    #[error("serialise an event")]
    Event(#[from] serde_json::Error),
    /// A stored value is none that we ever store.
    #[error("row {id} holds a value that its type does not allow: {column}")]
    Corrupt {
        /// The row.
        id: uuid::Uuid,
        /// The column.
        column: &'static str,
    },
    /// Another run of the listing has begun: what this one knows is old.
    #[error("the run was overtaken by another")]
    Overtaken,
}

impl messaging::outcome::NotAProblem for StoreError {}

/// Waits until nobody else writes the inventory. Held to the end of the transaction.
pub async fn lock_inventory(tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    // A page may have to wait while a whole listing is concluded.
    sqlx::query!(
        r#"select set_config('lock_timeout', '25s', true) as "patience!", pg_advisory_xact_lock($1) as "locked!: ()""#,
        INVENTORY_LOCK,
    )
    .fetch_one(tx)
    .await
    .map(drop)
}

/// As precise as Postgres keeps it, so that an event says the same time as the row.
pub fn storable(now: DateTime<Utc>) -> DateTime<Utc> {
    now.trunc_subsecs(6)
}
