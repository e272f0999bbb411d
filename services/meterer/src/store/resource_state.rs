//! `meterer.resource_state`: every state of every resource, as far as usage depends on it, and since when.

use chrono::{DateTime, Utc};
use contracts::{
    TenantId,
    ids::{DeploymentId, ResourceId},
    syncer::ResourceKind,
};
use sqlx::PgConnection;

use crate::domain::gigabytes::Gigabytes;

/// A resource as it was from some time on: whose, and how large.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceState {
    /// Syncer's id of it.
    pub resource_id: ResourceId,
    /// Counts the resource's states.
    pub version: i64,
    /// When this one began.
    pub from_at: DateTime<Utc>,
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
    /// Whether it is marked deleted.
    pub deleted: bool,
}

/// Keeps a state, at its place among the others of the resource, whatever order they come in. One that is known
/// already changes nothing, unless it is now known to have begun earlier: what is told again is told with a later
/// time. A day that was metered without it is metered again. Returns whether it was news. The caller holds
/// [`super::lock_metering`].
pub async fn save(tx: &mut PgConnection, state: &ResourceState) -> Result<bool, sqlx::Error> {
    // What never belonged to a deployment changes no record.
    let saved = sqlx::query!(
        r#"with saved as (
             insert into meterer.resource_state as known
               (resource_id, version, from_at, superseded_at, kind, name, status, size_gigabytes,
                deployment_id, tenant_id, deleted)
             values ($1, $2, $3,
                     (select later.from_at from meterer.resource_state later
                      where later.resource_id = $1 and later.version > $2
                      order by later.version limit 1),
                     $4, $5, $6, $7::text::numeric, $8, $9, $10)
             on conflict (resource_id, version) do update set from_at = excluded.from_at
               where known.from_at > excluded.from_at
             returning 1
           ), superseded as (
             update meterer.resource_state before set superseded_at = $3
             where exists (select from saved)
               and before.resource_id = $1
               and before.version = (select max(version) from meterer.resource_state
                                     where resource_id = $1 and version < $2)
           ), reopened as (
             update meterer.metering_progress
             set metered_through = ($3::timestamptz at time zone 'UTC')::date - 1
             where metered_through >= ($3::timestamptz at time zone 'UTC')::date
               and exists (select from saved)
               and ($8::uuid is not null
                    or exists (select from meterer.resource_state
                               where resource_id = $1 and deployment_id is not null))
           )
           select exists (select from saved) as "news!""#,
        state.resource_id.as_uuid(),
        state.version,
        state.from_at,
        state.kind.as_str(),
        state.name,
        state.status,
        state.size.as_ref().map(Gigabytes::as_str),
        state.deployment_id.map(DeploymentId::as_uuid),
        state.tenant_id.as_ref().map(TenantId::as_str),
        state.deleted,
    )
    .fetch_one(tx)
    .await?;
    Ok(saved.news)
}
