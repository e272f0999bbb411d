//! `meterer.llm_usage_ids` and `meterer.llm_usage_events`: every request once, for ever, and what was said of it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contracts::ids::{DeploymentId, RequestId};
use money::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, llm_usage_daily};
use crate::domain::llm_usage::{Fingerprint, Recorded, Rollup, Tokens};

/// "llmusage" in ASCII: advisory locks are shared by everything in the database.
const LOCK: i64 = 0x6c6c_6d75_7361_6765;

/// Most events in one [`ingest`]: what the sequence of entries leaves room for.
pub const INGEST_MAX: usize = 1_000;

/// How a transaction goes about usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// It takes events once, in the order of [`ingest`]: any number of such transactions go on beside each other.
    Together,
    /// It changes which deployments are known, counts what waited for them, or corrects: by itself, or two such
    /// transactions would wait for each other, and an event could be set aside when nobody looks for it any more.
    Alone,
}

/// Waits until usage may be written so. Held to the end of the transaction.
pub async fn lock(tx: &mut PgConnection, writing: Writing) -> Result<(), sqlx::Error> {
    // Whoever writes alone waits for all that began before it, and makes all others wait.
    match writing {
        Writing::Together => sqlx::query!(
            r#"select set_config('lock_timeout', '25s', true) as "patience!",
                      pg_advisory_xact_lock_shared($1) as "locked!: ()""#,
            LOCK,
        )
        .fetch_one(tx)
        .await
        .map(drop),
        Writing::Alone => sqlx::query!(
            r#"select set_config('lock_timeout', '25s', true) as "patience!",
                      pg_advisory_xact_lock($1) as "locked!: ()""#,
            LOCK,
        )
        .fetch_one(tx)
        .await
        .map(drop),
    }
}

/// Takes those events whose ids were never seen: id, event and sums. Returns for each whether it was taken; of the
/// others nothing is changed. The events are sorted by id, each id once, at most [`INGEST_MAX`]: in that order, and
/// then that of the sums, two transactions that meet wait for each other one way only.
pub async fn ingest(
    tx: &mut PgConnection,
    events: &[&Recorded],
    recorded_at: DateTime<Utc>,
) -> Result<Vec<bool>, StoreError> {
    debug_assert!(events.is_sorted_by(|one, other| one.id < other.id), "sorted, and each id once");
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let (base, claimed) = claim(tx, events).await?;
    let mut taken = vec![false; events.len()];
    for entry in claimed {
        let place = usize::try_from(entry - base).unwrap_or(usize::MAX);
        *taken.get_mut(place).ok_or(StoreError::Corrupt("the sequence of entries"))? = true;
    }
    keep(tx, base, events, &taken, recorded_at).await?;
    let mut rollup = Rollup::default();
    for (event, _) in events.iter().zip(&taken).filter(|(_, taken)| **taken) {
        rollup.count(event);
    }
    llm_usage_daily::change(tx, &rollup).await?;
    Ok(taken)
}

/// Gives each new id the entry `base` + its place; returns the entries given.
async fn claim(tx: &mut PgConnection, events: &[&Recorded]) -> Result<(i64, Vec<i64>), sqlx::Error> {
    let mut ids = Vec::with_capacity(events.len());
    let mut fingerprints: Vec<&[u8]> = Vec::with_capacity(events.len());
    for event in events {
        ids.push(event.id.as_str());
        fingerprints.push(event.fingerprint.as_bytes());
    }
    let row = sqlx::query!(
        r#"with base as materialized (
             select nextval('meterer.llm_usage_entry') as base
           ), claimed as (
             insert into meterer.llm_usage_ids (gateway_request_id, fingerprint, entry)
             select given.id, given.fingerprint, base.base + given.place - 1
             from base, unnest($1::text[], $2::bytea[]) with ordinality as given (id, fingerprint, place)
             on conflict (gateway_request_id) do nothing
             returning entry
           )
           select (select base from base) as "base!", array(select entry from claimed) as "claimed!""#,
        &ids as &[&str],
        &fingerprints as &[&[u8]],
    )
    .fetch_one(tx)
    .await?;
    Ok((row.base, row.claimed))
}

async fn keep(
    tx: &mut PgConnection,
    base: i64,
    events: &[&Recorded],
    taken: &[bool],
    recorded_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let count = taken.iter().filter(|taken| **taken).count();
    if count == 0 {
        return Ok(());
    }
    let mut entries = Vec::with_capacity(count);
    let mut occurred = Vec::with_capacity(count);
    let (mut prompt, mut completion, mut cached) =
        (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
    let mut deployments = Vec::with_capacity(count);
    let (mut ids, mut tenants) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut providers, mut models) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut currencies, mut charges) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut metadata = Vec::with_capacity(count);
    for ((entry, event), _) in (base..).zip(events).zip(taken).filter(|(_, taken)| **taken) {
        entries.push(entry);
        occurred.push(event.occurred_at);
        prompt.push(event.tokens.prompt);
        completion.push(event.tokens.completion);
        cached.push(event.tokens.cached);
        deployments.push(event.deployment_id.as_uuid());
        ids.push(event.id.as_str());
        tenants.push(event.tenant_id.as_str());
        providers.push(event.provider.as_str());
        models.push(event.model.as_str());
        currencies.push(event.currency.as_str());
        charges.push(event.charge.get());
        metadata.push(event.metadata.as_str());
    }
    sqlx::query!(
        "insert into meterer.llm_usage_events
           (entry, occurred_at, recorded_at, prompt_tokens, completion_tokens, cached_tokens, deployment_id,
            gateway_request_id, tenant_id, provider, model, currency, charge, metadata)
         select entry, occurred_at, $14, prompt_tokens, completion_tokens, cached_tokens, deployment_id,
                gateway_request_id, tenant_id, provider, model, currency, charge, metadata::json
         from unnest($1::bigint[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[], $6::uuid[], $7::text[],
                     $8::text[], $9::text[], $10::text[], $11::text[], $12::numeric[], $13::text[])
              as given (entry, occurred_at, prompt_tokens, completion_tokens, cached_tokens, deployment_id,
                        gateway_request_id, tenant_id, provider, model, currency, charge, metadata)",
        &entries,
        &occurred,
        &prompt,
        &completion,
        &cached,
        &deployments,
        &ids as &[&str],
        &tenants as &[&str],
        &providers as &[&str],
        &models as &[&str],
        &currencies as &[&str],
        &charges,
        &metadata as &[&str],
        recorded_at,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// What is known for ever of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Where its event is, while retention has it.
    pub entry: i64,
    /// Of all its event said.
    pub fingerprint: Fingerprint,
}

/// Those of these that were ever taken.
pub async fn seen(tx: &mut PgConnection, ids: &[&str]) -> Result<HashMap<String, Seen>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        "select gateway_request_id, entry, fingerprint
         from meterer.llm_usage_ids where gateway_request_id = any($1)",
        ids as &[&str],
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let fingerprint = super::fingerprint(&row.fingerprint)?;
            Ok((row.gateway_request_id, Seen { entry: row.entry, fingerprint }))
        })
        .collect()
}

struct Row {
    gateway_request_id: String,
    fingerprint: Vec<u8>,
    tenant_id: String,
    deployment_id: Uuid,
    provider: String,
    model: String,
    prompt_tokens: i64,
    completion_tokens: i64,
    cached_tokens: i64,
    charge: Decimal,
    currency: String,
    occurred_at: DateTime<Utc>,
    metadata: String,
}

impl TryFrom<Row> for Recorded {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: super::request(row.gateway_request_id)?,
            tenant_id: super::tenant(row.tenant_id)?,
            deployment_id: DeploymentId::from_uuid(row.deployment_id),
            provider: row.provider,
            model: row.model,
            tokens: Tokens {
                prompt: row.prompt_tokens,
                completion: row.completion_tokens,
                cached: row.cached_tokens,
            },
            charge: super::charge(row.charge)?,
            currency: super::currency(&row.currency)?,
            occurred_at: row.occurred_at,
            metadata: row.metadata,
            fingerprint: super::fingerprint(&row.fingerprint)?,
        })
    }
}

/// The events of these entries that retention still has, by id.
pub async fn events(
    tx: &mut PgConnection,
    entries: &[i64],
) -> Result<HashMap<RequestId, Recorded>, StoreError> {
    if entries.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query_as!(
        Row,
        r#"select event.gateway_request_id, seen.fingerprint, tenant_id, deployment_id, provider, model, prompt_tokens,
                  completion_tokens, cached_tokens, charge, currency, occurred_at, metadata::text as "metadata!"
           from meterer.llm_usage_events event
                join meterer.llm_usage_ids seen on seen.gateway_request_id = event.gateway_request_id
           where event.entry = any($1)"#,
        entries,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let event = Recorded::try_from(row)?;
            Ok((event.id.clone(), event))
        })
        .collect()
}
