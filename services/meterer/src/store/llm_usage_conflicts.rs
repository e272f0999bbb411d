//! `meterer.llm_usage_conflicts`: what came under an id that had come before with other content.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use contracts::{
    TenantId,
    ids::{DeploymentId, RequestId},
    meterer::UsageConflict,
};
use serde_json::value::RawValue;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::llm_usage::Fingerprint;

/// Keeps conflicts, each once; returns which of them are new, by id and fingerprint. They are sorted by these first: two
/// transactions that keep some at once wait for each other one way only.
pub async fn insert(
    tx: &mut PgConnection,
    conflicts: &[(UsageConflict, Fingerprint)],
) -> Result<HashSet<(RequestId, Fingerprint)>, StoreError> {
    let count = conflicts.len();
    let mut sorted: Vec<_> = conflicts.iter().collect();
    sorted.sort_by_key(|(conflict, fingerprint)| {
        (conflict.gateway_request_id.as_str(), fingerprint.as_bytes())
    });
    let (mut ids, mut fingerprints) = (Vec::with_capacity(count), Vec::<&[u8]>::with_capacity(count));
    let (mut events, mut tenants) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut deployments, mut fields) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut rejected, mut recorded) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for (conflict, fingerprint) in sorted {
        ids.push(conflict.gateway_request_id.as_str());
        fingerprints.push(fingerprint.as_bytes());
        events.push(conflict.event.as_str());
        tenants.push(conflict.tenant_id.as_ref().map(TenantId::as_str));
        deployments.push(conflict.deployment_id.map(DeploymentId::as_uuid));
        // Arrays of arrays have to be of one length; no name has a comma.
        fields.push(conflict.fields.join(","));
        rejected.push(conflict.rejected.get());
        recorded.push(conflict.recorded_at);
    }
    let rows = sqlx::query!(
        "insert into meterer.llm_usage_conflicts
           (gateway_request_id, fingerprint, event, tenant_id, deployment_id, fields, rejected, recorded_at)
         select gateway_request_id, fingerprint, event, tenant_id, deployment_id, string_to_array(fields, ','),
                rejected::json, recorded_at
         from unnest($1::text[], $2::bytea[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::timestamptz[])
              as given (gateway_request_id, fingerprint, event, tenant_id, deployment_id, fields, rejected, recorded_at)
         on conflict on constraint llm_usage_conflict_once do nothing
         returning gateway_request_id, fingerprint",
        &ids as &[&str],
        &fingerprints as &[&[u8]],
        &events as &[&str],
        &tenants as &[Option<&str>],
        &deployments as &[Option<Uuid>],
        &fields,
        &rejected as &[&str],
        &recorded,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| Ok((super::request(row.gateway_request_id)?, super::fingerprint(&row.fingerprint)?)))
        .collect()
}

struct Row {
    id: i64,
    gateway_request_id: String,
    event: String,
    tenant_id: Option<String>,
    deployment_id: Option<Uuid>,
    fields: Vec<String>,
    rejected: String,
    recorded_at: DateTime<Utc>,
}

impl TryFrom<Row> for (i64, UsageConflict) {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let conflict = UsageConflict {
            gateway_request_id: super::request(row.gateway_request_id)?,
            event: row.event,
            tenant_id: row.tenant_id.map(super::tenant).transpose()?,
            deployment_id: row.deployment_id.map(DeploymentId::from_uuid),
            fields: row.fields,
            rejected: RawValue::from_string(row.rejected)?,
            recorded_at: row.recorded_at,
        };
        Ok((row.id, conflict))
    }
}

/// Conflicts before `before`, the newest first, each with its place in the listing.
pub async fn page(
    tx: &mut PgConnection,
    tenant: Option<&TenantId>,
    deployment: Option<DeploymentId>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<(i64, UsageConflict)>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id, gateway_request_id, event, tenant_id, deployment_id, fields, rejected::text as "rejected!",
                  recorded_at
           from meterer.llm_usage_conflicts
           where ($1::text is null or tenant_id = $1) and ($2::uuid is null or deployment_id = $2)
             and ($3::bigint is null or id < $3)
           order by id desc limit $4"#,
        tenant.map(TenantId::as_str),
        deployment.map(DeploymentId::as_uuid),
        before,
        limit,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(TryFrom::try_from).collect()
}
