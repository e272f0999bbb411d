//! `meterer.llm_usage_corrections`: what was said later about a request, and what that changed.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contracts::ids::{DeploymentId, RequestId};
use money::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::llm_usage::{Correction, Delta, Effective, Recorded, Tokens, Told};

/// A correction that is taken, of which event, and what it changes.
#[derive(Debug)]
pub struct Taken<'a> {
    /// What it says.
    pub correction: &'a Correction,
    /// What it is about.
    pub event: &'a Recorded,
    /// By how much the sums change.
    pub delta: Delta,
}

struct Row {
    correction_id: String,
    fingerprint: Vec<u8>,
    gateway_request_id: String,
    kind: String,
    tenant_id: String,
    deployment_id: Uuid,
    currency: String,
    prompt_tokens: i64,
    completion_tokens: i64,
    cached_tokens: i64,
    charge: Decimal,
    reason: String,
    occurred_at: DateTime<Utc>,
}

impl TryFrom<Row> for Correction {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let tokens = Tokens {
            prompt: row.prompt_tokens,
            completion: row.completion_tokens,
            cached: row.cached_tokens,
        };
        let told =
            Told { tokens, charge: super::charge(row.charge)?, currency: super::currency(&row.currency)? };
        Ok(Self {
            id: super::request(row.correction_id)?,
            request: super::request(row.gateway_request_id)?,
            tenant_id: super::tenant(row.tenant_id)?,
            deployment_id: DeploymentId::from_uuid(row.deployment_id),
            told: (row.kind == "corrected").then_some(told),
            reason: row.reason,
            occurred_at: row.occurred_at,
            fingerprint: super::fingerprint(&row.fingerprint)?,
        })
    }
}

/// Those of these that were ever taken.
pub async fn find(tx: &mut PgConnection, ids: &[&str]) -> Result<HashMap<RequestId, Correction>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "select correction_id, fingerprint, gateway_request_id, kind, tenant_id, deployment_id, currency, prompt_tokens,
                completion_tokens, cached_tokens, charge, reason, occurred_at
         from meterer.llm_usage_corrections where correction_id = any($1)",
        ids as &[&str],
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let correction = Correction::try_from(row)?;
            Ok((correction.id.clone(), correction))
        })
        .collect()
}

/// What the corrections taken so far make of these requests; those that have none are left out.
pub async fn effective(
    tx: &mut PgConnection,
    requests: &[&str],
) -> Result<HashMap<RequestId, Effective>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "select distinct on (gateway_request_id)
                correction_id, fingerprint, gateway_request_id, kind, tenant_id, deployment_id, currency, prompt_tokens,
                completion_tokens, cached_tokens, charge, reason, occurred_at
         from meterer.llm_usage_corrections where gateway_request_id = any($1)
         order by gateway_request_id, occurred_at desc, place desc",
        requests as &[&str],
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let last = Correction::try_from(row)?;
            let effective = Effective { told: last.told, decided_at: Some(last.occurred_at) };
            Ok((last.request, effective))
        })
        .collect()
}

/// Adds corrections to the history, in their order.
pub async fn insert(
    tx: &mut PgConnection,
    all: &[Taken<'_>],
    recorded_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    // There are few: corrections are an exception, and a void more so.
    for Taken { correction, event, delta } in all {
        let told = correction.told;
        let tokens = told.map(|told| told.tokens).unwrap_or_default();
        sqlx::query!(
            "insert into meterer.llm_usage_corrections
               (correction_id, fingerprint, gateway_request_id, kind, tenant_id, deployment_id, day, provider, model, currency,
                prompt_tokens, completion_tokens, cached_tokens, charge, requests_delta, prompt_tokens_delta,
                completion_tokens_delta, cached_tokens_delta, charge_delta, reason, occurred_at, recorded_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19::text::numeric,
                     $20, $21, $22)",
            correction.id.as_str(),
            correction.fingerprint.as_bytes(),
            event.id.as_str(),
            correction.kind(),
            event.tenant_id.as_str(),
            event.deployment_id.as_uuid(),
            event.day(),
            event.provider,
            event.model,
            event.currency.as_str(),
            tokens.prompt,
            tokens.completion,
            tokens.cached,
            told.map(|told| told.charge).unwrap_or_default().get(),
            delta.requests,
            delta.prompt,
            delta.completion,
            delta.cached,
            delta.charge.to_string(),
            correction.reason,
            correction.occurred_at,
            recorded_at,
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
