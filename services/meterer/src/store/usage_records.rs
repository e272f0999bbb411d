//! `meterer.usage_records`: metered usage, as it is asked for. [`super::metering`] writes it.

use chrono::NaiveDate;
use contracts::{TenantId, ids::DeploymentId, meterer::KindUsage};
use sqlx::PgConnection;

use super::StoreError;

/// Whose usage of which days.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// First day.
    pub from: NaiveDate,
    /// First day that does not count.
    pub to: NaiveDate,
    /// Of this deployment only.
    pub deployment_id: Option<DeploymentId>,
    /// Of this tenant only.
    pub tenant_id: Option<&'a TenantId>,
}

struct Row {
    billing_kind: String,
    qty: String,
}

/// The sums, by billing kind. A statement for each way to ask, as each has an index of its own.
pub async fn by_kind(tx: &mut PgConnection, span: &Span<'_>) -> Result<Vec<KindUsage>, StoreError> {
    let rows = match (span.deployment_id, span.tenant_id) {
        (Some(deployment), tenant) => {
            sqlx::query_as!(
                Row,
                r#"select billing_kind, sum(qty)::text as "qty!" from meterer.usage_records
                   where deployment_id = $3 and ($4::text is null or tenant_id = $4)
                     and period_start >= $1::date::timestamp at time zone 'UTC'
                     and period_start < $2::date::timestamp at time zone 'UTC'
                   group by billing_kind order by billing_kind"#,
                span.from,
                span.to,
                deployment.as_uuid(),
                tenant.map(TenantId::as_str),
            )
            .fetch_all(tx)
            .await?
        }
        (None, Some(tenant)) => {
            sqlx::query_as!(
                Row,
                r#"select billing_kind, sum(qty)::text as "qty!" from meterer.usage_records
                   where tenant_id = $3
                     and period_start >= $1::date::timestamp at time zone 'UTC'
                     and period_start < $2::date::timestamp at time zone 'UTC'
                   group by billing_kind order by billing_kind"#,
                span.from,
                span.to,
                tenant.as_str(),
            )
            .fetch_all(tx)
            .await?
        }
        (None, None) => {
            // The index over periods begins with the kind, and every kind is configured.
            sqlx::query_as!(
                Row,
                r#"select billing_kind, sum(qty)::text as "qty!"
                   from meterer.metering_config join meterer.usage_records using (billing_kind)
                   where period_start >= $1::date::timestamp at time zone 'UTC'
                     and period_start < $2::date::timestamp at time zone 'UTC'
                   group by billing_kind order by billing_kind"#,
                span.from,
                span.to,
            )
            .fetch_all(tx)
            .await?
        }
    };
    rows.into_iter().map(|row| kind_usage(row.billing_kind, &row.qty)).collect()
}

fn kind_usage(billing_kind: String, qty: &str) -> Result<KindUsage, StoreError> {
    Ok(KindUsage { billing_kind: super::billing_kind(billing_kind)?, qty: super::quantity(qty)? })
}

/// The first deployments after `after` that have records of these days, and whose they are.
pub async fn deployments(
    tx: &mut PgConnection,
    span: &Span<'_>,
    after: Option<DeploymentId>,
    limit: i64,
) -> Result<Vec<(DeploymentId, TenantId)>, StoreError> {
    let rows = sqlx::query!(
        r#"select deployment_id, max(tenant_id) as "tenant_id!" from meterer.usage_records
           where period_start >= $1::date::timestamp at time zone 'UTC'
             and period_start < $2::date::timestamp at time zone 'UTC'
             and ($3::uuid is null or deployment_id > $3) and ($4::text is null or tenant_id = $4)
           group by deployment_id order by deployment_id limit $5"#,
        span.from,
        span.to,
        after.map(DeploymentId::as_uuid),
        span.tenant_id.map(TenantId::as_str),
        limit,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| Ok((DeploymentId::from_uuid(row.deployment_id), super::tenant(row.tenant_id)?)))
        .collect()
}

/// The sums of several deployments, by deployment and billing kind.
pub async fn by_deployment(
    tx: &mut PgConnection,
    from: NaiveDate,
    to: NaiveDate,
    deployments: &[DeploymentId],
) -> Result<Vec<(DeploymentId, KindUsage)>, StoreError> {
    let deployments: Vec<_> = deployments.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        r#"select deployment_id, billing_kind, sum(qty)::text as "qty!" from meterer.usage_records
           where period_start >= $1::date::timestamp at time zone 'UTC'
             and period_start < $2::date::timestamp at time zone 'UTC'
             and deployment_id = any($3)
           group by deployment_id, billing_kind order by deployment_id, billing_kind"#,
        from,
        to,
        &deployments,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| Ok((DeploymentId::from_uuid(row.deployment_id), kind_usage(row.billing_kind, &row.qty)?)))
        .collect()
}
