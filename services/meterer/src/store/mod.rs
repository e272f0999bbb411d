//! The schema `meterer`, one file per table or statement of its own weight. Only here is SQL.
//!
//! Whatever changes the states of resources, or the records that are made from them, takes one lock first
//! ([`lock_metering`]): a state that comes while its day is being metered must either be in the day's records or open
//! the day again.

pub mod known_deployment;
pub mod llm_usage;
pub mod llm_usage_conflicts;
pub mod llm_usage_corrections;
pub mod llm_usage_daily;
pub mod metering;
pub mod metering_config;
pub mod progress;
pub mod resource_state;
pub mod retention;
pub mod unmetered_resources;
pub mod usage_position;
pub mod usage_producers;
pub mod usage_records;
pub mod waiting;

use contracts::{
    TenantId,
    ids::{BillingKind, RequestId},
};
use messaging::outcome::NotAProblem;
use money::{Charge, Currency, Decimal, Quantity};
use sqlx::PgConnection;

use crate::domain::llm_usage::Fingerprint;

/// "metering" in ASCII: advisory locks are shared by everything in the database.
const METERING_LOCK: i64 = 0x6d65_7465_7269_6e67;

/// Usage could not be read or saved.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused.
    #[error("query the usage")]
    Database(#[from] sqlx::Error),
    /// An event did not serialise.
    #[error("serialise an event")]
    Event(#[from] serde_json::Error),
    /// A stored value is none that we ever store, or a sum has more digits than can be told exactly.
    #[error("{0} holds what its type does not allow")]
    Corrupt(&'static str),
}

impl NotAProblem for StoreError {}

/// Waits until nobody else changes states or makes records. Held to the end of the transaction.
pub async fn lock_metering(tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    // A day of a large inventory takes seconds, and by the hour twenty times as long; messages wait for it.
    sqlx::query!(
        r#"select set_config('lock_timeout', '25s', true) as "patience!", pg_advisory_xact_lock($1) as "locked!: ()""#,
        METERING_LOCK,
    )
    .fetch_one(tx)
    .await
    .map(drop)
}

/// A sum, digit by digit.
fn quantity(text: &str) -> Result<Quantity, StoreError> {
    let exact = Decimal::from_str_exact(text).ok().and_then(Quantity::new);
    exact.ok_or(StoreError::Corrupt("a sum of usage"))
}

fn billing_kind(text: String) -> Result<BillingKind, StoreError> {
    text.try_into().map_err(|_| StoreError::Corrupt("billing_kind"))
}

fn tenant(text: String) -> Result<TenantId, StoreError> {
    text.try_into().map_err(|_| StoreError::Corrupt("tenant_id"))
}

fn request(text: String) -> Result<RequestId, StoreError> {
    text.try_into().map_err(|_| StoreError::Corrupt("gateway_request_id"))
}

fn currency(text: &str) -> Result<Currency, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt("currency"))
}

fn charge(decimal: Decimal) -> Result<Charge, StoreError> {
    Charge::new(decimal).ok_or(StoreError::Corrupt("charge"))
}

fn fingerprint(bytes: &[u8]) -> Result<Fingerprint, StoreError> {
    Fingerprint::from_bytes(bytes).ok_or(StoreError::Corrupt("fingerprint"))
}
