//! `meterer.attributed_resource`: the last known state of every resource, as far as usage depends on it.

use chrono::{DateTime, Utc};
use contracts::{
    TenantId,
    ids::{DeploymentId, ResourceId},
    syncer::ResourceKind,
};
use sqlx::PgConnection;

use crate::domain::gigabytes::Gigabytes;

/// A resource, whose it is, and how large.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributedResource {
    /// Syncer's id of it.
    pub resource_id: ResourceId,
    /// What sort of thing it is.
    pub kind: ResourceKind,
    /// The name people gave it.
    pub name: String,
    /// The provider's status, or `deleted`.
    pub status: String,
    /// `None`: it has no size, or nobody knows it.
    pub size: Option<Gigabytes>,
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
pub async fn save(tx: &mut PgConnection, resource: &AttributedResource) -> Result<bool, sqlx::Error> {
    let saved = sqlx::query!(
        "insert into meterer.attributed_resource as known
           (resource_id, kind, name, status, size_gigabytes, deployment_id, tenant_id, deleted_at, version)
         values ($1, $2, $3, $4, $5::text::numeric, $6, $7, $8, $9)
         on conflict (resource_id) do update set
           kind = excluded.kind,
           name = excluded.name,
           status = excluded.status,
           size_gigabytes = excluded.size_gigabytes,
           deployment_id = excluded.deployment_id,
           tenant_id = excluded.tenant_id,
           deleted_at = excluded.deleted_at,
           version = excluded.version
         where known.version < excluded.version",
        resource.resource_id.as_uuid(),
        resource.kind.as_str(),
        resource.name,
        resource.status,
        resource.size.as_ref().map(Gigabytes::as_str),
        resource.deployment_id.map(DeploymentId::as_uuid),
        resource.tenant_id.as_ref().map(TenantId::as_str),
        resource.deleted_at,
        resource.version,
    )
    .execute(tx)
    .await?;
    Ok(saved.rows_affected() == 1)
}
