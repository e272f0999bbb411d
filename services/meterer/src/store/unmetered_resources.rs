//! `meterer.unmetered_resources`: what should have counted on a day and could not. [`super::metering`] writes it.

use chrono::NaiveDate;
use contracts::{
    TenantId,
    ids::{DeploymentId, ResourceId},
    meterer::Unmetered,
};
use sqlx::PgConnection;

use super::{StoreError, usage_records::Span};

/// How many resources were unmetered on any of the days.
pub async fn count(tx: &mut PgConnection, span: &Span<'_>) -> Result<u64, sqlx::Error> {
    let row = sqlx::query!(
        r#"select count(distinct resource_id) as "count!" from meterer.unmetered_resources
           where day >= $1 and day < $2
             and ($3::uuid is null or deployment_id = $3) and ($4::text is null or tenant_id = $4)"#,
        span.from,
        span.to,
        span.deployment_id.map(DeploymentId::as_uuid),
        span.tenant_id.map(TenantId::as_str),
    )
    .fetch_one(tx)
    .await?;
    Ok(row.count.unsigned_abs())
}

/// A page, by day and resource, after a place in that order. A resource has one billing kind.
pub async fn page(
    tx: &mut PgConnection,
    span: &Span<'_>,
    after: Option<(NaiveDate, ResourceId)>,
    limit: i64,
) -> Result<Vec<Unmetered>, StoreError> {
    let rows = sqlx::query!(
        "select day, resource_id, billing_kind, resource_kind, name, tenant_id, deployment_id, reason
         from meterer.unmetered_resources
         where day >= $1 and day < $2
           and ($3::uuid is null or deployment_id = $3) and ($4::text is null or tenant_id = $4)
           and ($5::date is null or (day, resource_id) > ($5, $6::uuid))
         order by day, resource_id limit $7",
        span.from,
        span.to,
        span.deployment_id.map(DeploymentId::as_uuid),
        span.tenant_id.map(TenantId::as_str),
        after.map(|(day, _)| day),
        after.map(|(_, resource)| resource.as_uuid()),
        limit,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let kind = row.resource_kind.parse();
            Ok(Unmetered {
                day: row.day,
                resource_id: ResourceId::from_uuid(row.resource_id),
                resource_kind: kind.map_err(|_| StoreError::Corrupt("unmetered_resources.resource_kind"))?,
                name: row.name,
                tenant_id: super::tenant(row.tenant_id)?,
                deployment_id: DeploymentId::from_uuid(row.deployment_id),
                billing_kind: super::billing_kind(row.billing_kind)?,
                reason: row.reason,
            })
        })
        .collect()
}
