//! What the inventory shows: reads alone, in pages by id, limited to a scope.
//!
//! Row-level security limits a tenant to its own rows; every statement says the tenant as well, for the planner
//! and in case of a mistake. Each filter that an index serves has a statement of its own, as a statement whose
//! filters are all optional gets a plan that fits none of them.

use chrono::{DateTime, Utc};
use contracts::{
    TenantId,
    ids::{DeploymentId, ProjectId, ResourceId},
    syncer::{FieldChange, Project, Resource, ResourceEvent, ResourceState},
};
use serde_json::{Map, Value};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{
    StoreError,
    project::ProjectRow,
    resource::{kind, tenant},
};
use crate::domain::project::Mirrored;

/// Events that a resource's history shows.
const EVENTS_MAX: i64 = 100;

/// Which resources. A tenant of the caller's scope is in `tenant_id`.
#[derive(Debug, Clone, Default)]
pub struct Filter<'a> {
    /// Of this kind only.
    pub kind: Option<&'a str>,
    /// With this status only; `None`: all that live.
    pub status: Option<&'a str>,
    /// In this project only.
    pub project_id: Option<ProjectId>,
    /// Of this deployment only.
    pub deployment_id: Option<DeploymentId>,
    /// Of this tenant only.
    pub tenant_id: Option<&'a TenantId>,
}

struct ResourceRow {
    id: Uuid,
    provider: String,
    kind: String,
    provider_id: String,
    name: String,
    status: String,
    region: Option<String>,
    attrs: Json<Map<String, Value>>,
    cloud_project_id: Option<Uuid>,
    tenant_id: Option<String>,
    deployment_id: Option<Uuid>,
    first_seen_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    stale_strike_count: i16,
    deleted_at: Option<DateTime<Utc>>,
    version: i64,
}

impl TryFrom<ResourceRow> for Resource {
    type Error = StoreError;

    fn try_from(row: ResourceRow) -> Result<Self, StoreError> {
        let state = ResourceState {
            id: ResourceId::from_uuid(row.id),
            provider: row.provider,
            kind: kind(row.id, &row.kind)?,
            provider_id: row.provider_id,
            name: row.name,
            status: row.status,
            region: row.region,
            attrs: row.attrs.0,
            cloud_project_id: row.cloud_project_id.map(ProjectId::from_uuid),
            tenant_id: tenant(row.id, row.tenant_id)?,
            deployment_id: row.deployment_id.map(DeploymentId::from_uuid),
            first_seen_at: row.first_seen_at,
            deleted_at: row.deleted_at,
            version: row.version,
        };
        Ok(Self { state, last_seen_at: row.last_seen_at, stale_strike_count: row.stale_strike_count })
    }
}

/// One statement per leading filter; the others narrow it down.
macro_rules! page {
    ($tx:expr, $leading:literal, $filter:expr, $after:expr, $limit:expr) => {
        sqlx::query_as!(
            ResourceRow,
            r#"select id, provider, kind, provider_id, name, status, region,
                      attrs as "attrs: Json<Map<String, Value>>", cloud_project_id, tenant_id, deployment_id,
                      first_seen_at, last_seen_at, stale_strike_count, deleted_at, version
               from syncer.cloud_resources where "#
                + $leading
                + r#" and ($1::uuid is null or deployment_id = $1)
                 and ($2::uuid is null or cloud_project_id = $2)
                 and ($3::text is null or tenant_id = $3)
                 and ($4::text is null or kind = $4)
                 and case when $5::text is null then deleted_at is null else status = $5 end
                 and id > $6
               order by id limit $7"#,
            $filter.deployment_id.map(DeploymentId::as_uuid),
            $filter.project_id.map(ProjectId::as_uuid),
            $filter.tenant_id.map(TenantId::as_str),
            $filter.kind,
            $filter.status,
            $after,
            $limit,
        )
        .fetch_all($tx)
        .await?
    };
}

/// At most `limit` resources after `after`, in id order.
pub async fn resources(
    tx: &mut PgConnection,
    filter: &Filter<'_>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Resource>, StoreError> {
    let after = after.unwrap_or(Uuid::nil());
    let rows = match filter {
        Filter { deployment_id: Some(_), .. } => page!(tx, "deployment_id = $1", filter, after, limit),
        Filter { project_id: Some(_), .. } => page!(tx, "cloud_project_id = $2", filter, after, limit),
        Filter { tenant_id: Some(_), .. } => page!(tx, "tenant_id = $3", filter, after, limit),
        Filter { kind: Some(_), .. } => page!(tx, "kind = $4", filter, after, limit),
        Filter { .. } => page!(tx, "true", filter, after, limit),
    };
    rows.into_iter().map(Resource::try_from).collect()
}

/// One resource.
pub async fn resource(
    tx: &mut PgConnection,
    id: ResourceId,
    tenant_id: Option<&TenantId>,
) -> Result<Option<Resource>, StoreError> {
    let row = sqlx::query_as!(
        ResourceRow,
        r#"select id, provider, kind, provider_id, name, status, region,
                  attrs as "attrs: Json<Map<String, Value>>", cloud_project_id, tenant_id, deployment_id,
                  first_seen_at, last_seen_at, stale_strike_count, deleted_at, version
           from syncer.cloud_resources where id = $1 and ($2::text is null or tenant_id = $2)"#,
        id.as_uuid(),
        tenant_id.map(TenantId::as_str),
    )
    .fetch_optional(tx)
    .await?;
    row.map(Resource::try_from).transpose()
}

/// A resource's last events, newest first. A tenant sees those of its own time.
pub async fn events(
    tx: &mut PgConnection,
    id: ResourceId,
    tenant_id: Option<&TenantId>,
) -> Result<Vec<ResourceEvent>, StoreError> {
    let rows = sqlx::query!(
        r#"select event, version, changes as "changes: Json<Vec<FieldChange>>", actor, occurred_at
           from syncer.cloud_resource_events
           where resource_id = $1 and ($2::text is null or tenant_id = $2)
           order by id desc limit $3"#,
        id.as_uuid(),
        tenant_id.map(TenantId::as_str),
        EVENTS_MAX,
    )
    .fetch_all(tx)
    .await?;
    let events = rows.into_iter().map(|row| ResourceEvent {
        event: row.event,
        version: row.version,
        changes: row.changes.0,
        actor: row.actor,
        occurred_at: row.occurred_at,
    });
    Ok(events.collect())
}

/// At most `limit` living projects after `after`, in id order.
pub async fn projects(
    tx: &mut PgConnection,
    tenant_id: Option<&TenantId>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Project>, StoreError> {
    let rows = sqlx::query_as!(
        ProjectRow,
        "select id, provider, provider_id, name, environment, tenant_id, purpose, purpose_from_operator,
                first_seen_at, last_seen_at, deleted_at
         from syncer.cloud_projects
         where ($1::text is null or tenant_id = $1) and deleted_at is null and id > $2 order by id limit $3",
        tenant_id.map(TenantId::as_str),
        after.unwrap_or(Uuid::nil()),
        limit,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(|row| Ok(Mirrored::try_from(row)?.project)).collect()
}
