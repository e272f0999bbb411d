//! `biller.resource_ref`: what a line of the provider's bill may mean, and whom it served.

use chrono::{DateTime, Utc};
use contracts::{
    TenantId,
    ids::{DeploymentId, ResourceId},
    syncer::ResourceKind,
};
use sqlx::PgConnection;

/// A resource and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceRef {
    /// Syncer's id of it.
    pub resource_id: ResourceId,
    /// What sort of thing it is.
    pub kind: ResourceKind,
    /// The name people gave it, and bills use.
    pub name: String,
    /// The provider's status, or `deleted`.
    pub status: String,
    /// The deployment it is part of.
    pub deployment_id: Option<DeploymentId>,
    /// The tenant it serves.
    pub tenant_id: Option<TenantId>,
    /// When it was marked deleted; `None` while it lives.
    pub deleted_at: Option<DateTime<Utc>>,
    /// Counts the resource's events.
    pub version: i64,
}

/// Keeps a newer version; an equal or older one changes nothing. Returns whether it was news.
pub async fn save(tx: &mut PgConnection, resource: &ResourceRef) -> Result<bool, sqlx::Error> {
    let saved = sqlx::query!(
        "insert into biller.resource_ref as known
           (resource_id, kind, name, status, deployment_id, tenant_id, deleted_at, version)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (resource_id) do update set
           kind = excluded.kind,
           name = excluded.name,
           status = excluded.status,
           deployment_id = excluded.deployment_id,
           tenant_id = excluded.tenant_id,
           deleted_at = excluded.deleted_at,
           version = excluded.version
         where known.version < excluded.version",
        resource.resource_id.as_uuid(),
        resource.kind.as_str(),
        resource.name,
        resource.status,
        resource.deployment_id.map(DeploymentId::as_uuid),
        resource.tenant_id.as_ref().map(TenantId::as_str),
        resource.deleted_at,
        resource.version,
    )
    .execute(tx)
    .await?;
    Ok(saved.rows_affected() == 1)
}
