//! The chokepoint: the only code that writes `cloud_resources` and `cloud_resource_events`.
//!
//! Everything is set-wise. A page in which nothing changed is one bump that returns the stored fingerprints;
//! what is new costs one insert, what changed one read and one update, and their events one insert into the
//! history and one into the outbox, whatever the size of the page.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use contracts::{
    Service, TenantId,
    ids::{DeploymentId, ProjectId, ResourceId},
    syncer::{
        ResourceDeleted, ResourceDiscovered, ResourceKind, ResourceRestored, ResourceState, ResourceTagged,
        ResourceUpdated,
    },
};
use messaging::outbox::{self, Draft};
use serde_json::{Map, Value};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{StoreError, listing, lock_inventory, storable};
use crate::domain::{
    absence::{STRIKES_MAX, Tally},
    attribution::{Custom, Home, LISTED_KINDS, Member, Unclaimed, custom, given_to, is_listed},
    change::{Change, Happening, differences},
    listing::Run,
    observation::{Observed, PROVIDER},
    reconcile::{self, Differing, Known},
};

/// Rows that are read and written at once where a set can be of any size.
const CHUNK: i64 = 500;
/// Light rows that are read at once.
const LIGHT_CHUNK: i64 = 5_000;
/// The hash of a row that the provider has not described: equal to no fingerprint.
const UNDESCRIBED: &[u8] = &[];

/// A row with everything an event tells.
struct StateRow {
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
    deleted_at: Option<DateTime<Utc>>,
    version: i64,
}

impl TryFrom<StateRow> for ResourceState {
    type Error = StoreError;

    fn try_from(row: StateRow) -> Result<Self, StoreError> {
        let id = row.id;
        Ok(Self {
            id: ResourceId::from_uuid(id),
            provider: row.provider,
            kind: kind(id, &row.kind)?,
            provider_id: row.provider_id,
            name: row.name,
            status: row.status,
            region: row.region,
            attrs: row.attrs.0,
            cloud_project_id: row.cloud_project_id.map(ProjectId::from_uuid),
            tenant_id: tenant(id, row.tenant_id)?,
            deployment_id: row.deployment_id.map(DeploymentId::from_uuid),
            first_seen_at: row.first_seen_at,
            deleted_at: row.deleted_at,
            version: row.version,
        })
    }
}

pub(super) fn kind(id: Uuid, text: &str) -> Result<ResourceKind, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt { id, column: "kind" })
}

pub(super) fn tenant(id: Uuid, text: Option<String>) -> Result<Option<TenantId>, StoreError> {
    text.map(TenantId::try_from).transpose().map_err(|_| StoreError::Corrupt { id, column: "tenant_id" })
}

fn home(
    id: Uuid,
    project: Option<Uuid>,
    of: Option<String>,
    deployment: Option<Uuid>,
) -> Result<Home, StoreError> {
    Ok(Home {
        project: project.map(ProjectId::from_uuid),
        tenant: tenant(id, of)?,
        deployment: deployment.map(DeploymentId::from_uuid),
    })
}

fn uuids(ids: &[ResourceId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.as_uuid()).collect()
}

/// What to do with a row that is not in the inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strangers {
    /// It is new.
    TakeIn,
    /// Membership decides what exists; this page only describes it.
    Ignore,
}

/// Writes one page of a listing.
pub async fn write_page(
    tx: &mut PgConnection,
    run: &Run,
    kind: &ResourceKind,
    page: Vec<Observed>,
    strangers: Strangers,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    listing::lock(tx, run).await?;
    let now = storable(run.sighted_at(now));
    let provider_ids: Vec<&str> = page.iter().map(|row| row.provider_id.as_str()).collect();
    let known = match strangers {
        Strangers::TakeIn => bump(tx, kind, &provider_ids, now).await?,
        Strangers::Ignore => living(tx, kind, &provider_ids).await?,
    };
    let Differing { mut unknown, changed } = reconcile::compare(page, &known);
    if strangers == Strangers::Ignore {
        unknown.clear();
    }
    take_in(tx, &unknown, now).await?;
    take_over(tx, &changed, now).await
}

/// Notes that the rows were seen, and returns what is known of them.
///
/// Provider and kind are given per row although they are the same for all: as constants they lead a planner that
/// has no statistics yet, which is when it matters, to read the whole kind once per page.
async fn bump(
    tx: &mut PgConnection,
    kind: &ResourceKind,
    provider_ids: &[&str],
    now: DateTime<Utc>,
) -> Result<Vec<Known>, StoreError> {
    let rows = sqlx::query!(
        r#"update syncer.cloud_resources r set last_seen_at = $4, stale_strike_count = 0
           from unnest($1::text[], $2::text[], $3::text[]) as seen (provider, kind, provider_id)
           where r.provider = seen.provider and r.kind = seen.kind and r.provider_id = seen.provider_id
           returning r.id, r.provider_id, r.content_hash, r.deleted_at is not null as "deleted!""#,
        &vec![PROVIDER; provider_ids.len()] as &[&str],
        &vec![kind.as_str(); provider_ids.len()] as &[&str],
        provider_ids as &[&str],
        now,
    )
    .fetch_all(tx)
    .await?;
    let known = rows.into_iter().map(|row| Known {
        id: ResourceId::from_uuid(row.id),
        provider_id: row.provider_id,
        content_hash: row.content_hash,
        deleted: row.deleted,
    });
    Ok(known.collect())
}

/// What is known of the rows that live, which is all that a page may do that does not decide what exists.
async fn living(
    tx: &mut PgConnection,
    kind: &ResourceKind,
    provider_ids: &[&str],
) -> Result<Vec<Known>, StoreError> {
    let rows = sqlx::query!(
        "select id, provider_id, content_hash from syncer.cloud_resources
         where provider = $1 and kind = $2 and provider_id = any($3) and deleted_at is null",
        PROVIDER,
        kind.as_str(),
        provider_ids as &[&str],
    )
    .fetch_all(tx)
    .await?;
    let known = rows.into_iter().map(|row| Known {
        id: ResourceId::from_uuid(row.id),
        provider_id: row.provider_id,
        content_hash: row.content_hash,
        deleted: false,
    });
    Ok(known.collect())
}

async fn take_in(tx: &mut PgConnection, unknown: &[Observed], now: DateTime<Utc>) -> Result<(), StoreError> {
    if unknown.is_empty() {
        return Ok(());
    }
    let changes: Vec<Change> = unknown
        .iter()
        .map(|observed| reconcile::discover(ResourceId::from_uuid(Uuid::now_v7()), observed, now))
        .collect();
    let rows = changes.iter().zip(unknown).map(|(change, observed)| NewRow {
        state: &change.state,
        attrs: &observed.attrs,
        content_hash: observed.fingerprint.as_bytes(),
    });
    insert(tx, rows, now).await?;
    tell(tx, changes, None, now).await
}

struct NewRow<'a> {
    state: &'a ResourceState,
    attrs: &'a str,
    content_hash: &'a [u8],
}

async fn insert<'a>(
    tx: &mut PgConnection,
    rows: impl Iterator<Item = NewRow<'a>>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (mut ids, mut kinds, mut provider_ids) = (Vec::new(), Vec::new(), Vec::new());
    let (mut names, mut statuses, mut regions) = (Vec::new(), Vec::new(), Vec::new());
    let (mut attrs, mut hashes) = (Vec::new(), Vec::new());
    let (mut projects, mut tenants) = (Vec::new(), Vec::new());
    for NewRow { state, attrs: text, content_hash } in rows {
        ids.push(state.id.as_uuid());
        kinds.push(state.kind.as_str());
        provider_ids.push(state.provider_id.as_str());
        names.push(state.name.as_str());
        statuses.push(state.status.as_str());
        regions.push(state.region.as_deref());
        attrs.push(text);
        hashes.push(content_hash);
        projects.push(state.cloud_project_id.map(ProjectId::as_uuid));
        tenants.push(state.tenant_id.as_ref().map(TenantId::as_str));
    }
    sqlx::query!(
        "insert into syncer.cloud_resources (
             id, provider, kind, provider_id, name, status, region, attrs, content_hash,
             cloud_project_id, tenant_id, first_seen_at, last_seen_at
         )
         select id, $1, kind, provider_id, name, status, region, attrs::jsonb, content_hash,
                cloud_project_id, tenant_id, $2, $2
         from unnest(
             $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bytea[],
             $11::uuid[], $12::text[]
         ) as seen (
             id, kind, provider_id, name, status, region, attrs, content_hash, cloud_project_id, tenant_id
         )",
        PROVIDER,
        now,
        &ids,
        &kinds as &[&str],
        &provider_ids as &[&str],
        &names as &[&str],
        &statuses as &[&str],
        &regions as &[Option<&str>],
        &attrs as &[&str],
        &hashes as &[&[u8]],
        &projects as &[Option<Uuid>],
        &tenants as &[Option<&str>],
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn take_over(
    tx: &mut PgConnection,
    changed: &[(ResourceId, Observed)],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if changed.is_empty() {
        return Ok(());
    }
    let ids: Vec<ResourceId> = changed.iter().map(|(id, _)| *id).collect();
    let mut before = states(tx, &ids).await?;
    let (mut changes, mut hashes) = (Vec::new(), Vec::new());
    let (mut same, mut same_hashes) = (Vec::new(), Vec::new());
    for (id, observed) in changed {
        let Some(state) = before.remove(id) else { continue };
        match reconcile::reconcile(&state, observed) {
            Some(change) => {
                changes.push(change);
                hashes.push(observed.fingerprint.as_bytes());
            }
            None => {
                same.push(id.as_uuid());
                same_hashes.push(observed.fingerprint.as_bytes());
            }
        }
    }
    if !same.is_empty() {
        sqlx::query!(
            "update syncer.cloud_resources r set content_hash = seen.content_hash
             from unnest($1::uuid[], $2::bytea[]) as seen (id, content_hash) where r.id = seen.id",
            &same,
            &same_hashes as &[&[u8]],
        )
        .execute(&mut *tx)
        .await?;
    }
    save(tx, &changes, &hashes).await?;
    tell(tx, changes, None, now).await
}

/// The rows with everything an event tells.
async fn states(
    tx: &mut PgConnection,
    ids: &[ResourceId],
) -> Result<HashMap<ResourceId, ResourceState>, StoreError> {
    let rows = sqlx::query_as!(
        StateRow,
        r#"select id, provider, kind, provider_id, name, status, region, attrs as "attrs: Json<Map<String, Value>>",
                  cloud_project_id, tenant_id, deployment_id, first_seen_at, deleted_at, version
           from syncer.cloud_resources where id = any($1)"#,
        &uuids(ids),
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(|row| ResourceState::try_from(row).map(|state| (state.id, state))).collect()
}

/// Writes changed rows whole, but for what only attribution and absence write.
async fn save(tx: &mut PgConnection, changes: &[Change], hashes: &[&[u8]]) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    let states = || changes.iter().map(|change| &change.state);
    let ids: Vec<Uuid> = states().map(|state| state.id.as_uuid()).collect();
    let names: Vec<&str> = states().map(|state| state.name.as_str()).collect();
    let statuses: Vec<&str> = states().map(|state| state.status.as_str()).collect();
    let regions: Vec<Option<&str>> = states().map(|state| state.region.as_deref()).collect();
    let attrs: Vec<String> =
        states().map(|state| serde_json::to_string(&state.attrs)).collect::<Result<_, _>>()?;
    let deleted: Vec<Option<DateTime<Utc>>> = states().map(|state| state.deleted_at).collect();
    let versions: Vec<i64> = states().map(|state| state.version).collect();
    sqlx::query!(
        "update syncer.cloud_resources r
         set name = seen.name, status = seen.status, region = seen.region, attrs = seen.attrs::jsonb,
             content_hash = seen.content_hash, deleted_at = seen.deleted_at, version = seen.version
         from unnest(
             $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::timestamptz[], $8::bigint[]
         ) as seen (id, name, status, region, attrs, content_hash, deleted_at, version)
         where r.id = seen.id",
        &ids,
        &names as &[&str],
        &statuses as &[&str],
        &regions as &[Option<&str>],
        &attrs,
        hashes as &[&[u8]],
        &deleted as &[Option<DateTime<Utc>>],
        &versions,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Adds events to the history and to the outbox. `actor` is who did it, where a person did.
async fn tell(
    tx: &mut PgConnection,
    changes: Vec<Change>,
    actor: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = changes.iter().map(|change| change.state.id.as_uuid()).collect();
    let events: Vec<&str> = changes.iter().map(|change| change.happening.name()).collect();
    let versions: Vec<i64> = changes.iter().map(|change| change.state.version).collect();
    let tenants: Vec<Option<&str>> =
        changes.iter().map(|change| change.state.tenant_id.as_ref().map(TenantId::as_str)).collect();
    let details: Vec<String> = changes
        .iter()
        .map(|change| serde_json::to_string(change.happening.changes()))
        .collect::<Result<_, _>>()?;
    sqlx::query!(
        "insert into syncer.cloud_resource_events (
             resource_id, event, version, tenant_id, changes, actor, occurred_at
         )
         select resource_id, event, version, tenant_id, changes::jsonb, $6, $7
         from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[])
              as happened (resource_id, event, version, tenant_id, changes)",
        &ids,
        &events as &[&str],
        &versions,
        &tenants as &[Option<&str>],
        &details,
        actor,
        now,
    )
    .execute(&mut *tx)
    .await?;
    let drafts: Vec<Draft> =
        changes.into_iter().map(|change| draft(change, now)).collect::<Result<_, _>>()?;
    Ok(outbox::add(tx, &drafts).await?)
}

fn draft(change: Change, now: DateTime<Utc>) -> Result<Draft, serde_json::Error> {
    let resource = change.state;
    match change.happening {
        Happening::Discovered => Draft::event(Service::Syncer, &ResourceDiscovered { resource }, now),
        Happening::Updated(changes) => {
            Draft::event(Service::Syncer, &ResourceUpdated { resource, changes }, now)
        }
        Happening::Restored(changes) => {
            Draft::event(Service::Syncer, &ResourceRestored { resource, changes }, now)
        }
        Happening::Deleted => Draft::event(Service::Syncer, &ResourceDeleted { resource }, now),
        Happening::Tagged(changes) => {
            Draft::event(Service::Syncer, &ResourceTagged { resource, changes }, now)
        }
    }
}

/// A member as the inventory knows it.
struct KnownMember {
    id: ResourceId,
    member: Member,
    home: Home,
    linked: bool,
    deleted: bool,
}

/// Writes one page of what a project claims: attributes what is known, takes in what is not, and notes that
/// what exists through membership alone was seen. Returns the ids of all of them. What is `taken` was claimed
/// earlier in the same walk: the first claim counts, or a resource in two places would change hands at every walk.
pub async fn write_members(
    tx: &mut PgConnection,
    run: &Run,
    project: ProjectId,
    members: &HashSet<Member>,
    taken: &HashSet<ResourceId>,
    now: DateTime<Utc>,
) -> Result<Vec<ResourceId>, StoreError> {
    listing::lock(tx, run).await?;
    let now = storable(run.sighted_at(now));
    let home = super::project::home(tx, project).await?;
    let known = known_members(tx, members).await?;

    let (mut seen, mut back) = (Vec::new(), Vec::new());
    let mut moved = Vec::new();
    let mut strangers = members.clone();
    for row in &known {
        let id = row.id;
        let listed = is_listed(&row.member.kind);
        strangers.remove(&row.member);
        if !listed {
            seen.push(id);
            if row.deleted {
                back.push(id);
            }
        }
        // Of what has a listing of its own, that listing alone says whether it exists.
        let living = !listed || !row.deleted;
        let at_home = home.offered_to(&row.home, row.linked) == row.home;
        if living && !at_home && !taken.contains(&id) {
            moved.push(id);
        }
    }

    sighted(tx, &seen, now).await?;
    bring_back(tx, &back, now).await?;
    attribute(tx, &moved, &home, None, now).await?;
    let mut ids: Vec<ResourceId> = known.iter().map(|row| row.id).collect();
    ids.extend(take_in_members(tx, strangers, &home, now).await?);
    Ok(ids)
}

async fn known_members(
    tx: &mut PgConnection,
    members: &HashSet<Member>,
) -> Result<Vec<KnownMember>, StoreError> {
    let kinds: Vec<&str> = members.iter().map(|member| member.kind.as_str()).collect();
    let provider_ids: Vec<&str> = members.iter().map(|member| member.provider_id.as_str()).collect();
    let rows = sqlx::query!(
        r#"select r.id, r.kind, r.provider_id, r.cloud_project_id, r.tenant_id, r.deployment_id, r.linked,
                  r.deleted_at is not null as "deleted!"
           from unnest($1::text[], $2::text[], $3::text[]) as member (provider, kind, provider_id)
           join syncer.cloud_resources r
             on r.provider = member.provider and r.kind = member.kind and r.provider_id = member.provider_id"#,
        &vec![PROVIDER; members.len()] as &[&str],
        &kinds as &[&str],
        &provider_ids as &[&str],
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(KnownMember {
                id: ResourceId::from_uuid(row.id),
                member: Member { kind: kind(row.id, &row.kind)?, provider_id: row.provider_id },
                home: home(row.id, row.cloud_project_id, row.tenant_id, row.deployment_id)?,
                linked: row.linked,
                deleted: row.deleted,
            })
        })
        .collect()
}

async fn sighted(tx: &mut PgConnection, ids: &[ResourceId], now: DateTime<Utc>) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update syncer.cloud_resources set last_seen_at = $2, stale_strike_count = 0 where id = any($1)",
        &uuids(ids),
        now,
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn bring_back(tx: &mut PgConnection, ids: &[ResourceId], now: DateTime<Utc>) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let before = states(tx, ids).await?;
    let changes: Vec<Change> = before.values().filter_map(reconcile::restore_member).collect();
    // Whatever describes it further is read anew.
    save(tx, &changes, &vec![UNDESCRIBED; changes.len()]).await?;
    tell(tx, changes, None, now).await
}

async fn take_in_members(
    tx: &mut PgConnection,
    strangers: HashSet<Member>,
    home: &Home,
    now: DateTime<Utc>,
) -> Result<Vec<ResourceId>, StoreError> {
    if strangers.is_empty() {
        return Ok(Vec::new());
    }
    let changes: Vec<Change> = strangers
        .into_iter()
        .map(|Member { kind, provider_id }| {
            let id = ResourceId::from_uuid(Uuid::now_v7());
            let state = reconcile::discover_member(id, kind, provider_id, now);
            let state =
                ResourceState { cloud_project_id: home.project, tenant_id: home.tenant.clone(), ..state };
            Change { state, happening: Happening::Discovered }
        })
        .collect();
    let rows =
        changes.iter().map(|change| NewRow { state: &change.state, attrs: "{}", content_hash: UNDESCRIBED });
    insert(tx, rows, now).await?;
    let ids = changes.iter().map(|change| change.state.id).collect();
    tell(tx, changes, None, now).await?;
    Ok(ids)
}

/// Gives resources to a home, linked ones as far as they go; those that are there already are left alone. The caller
/// holds the inventory's lock.
pub async fn attribute(
    tx: &mut PgConnection,
    ids: &[ResourceId],
    home: &Home,
    actor: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    for ids in ids.chunks(CHUNK as usize) {
        let before = states(tx, ids).await?;
        let linked = linked_among(tx, ids).await?;
        let changes: Vec<Change> = before
            .into_values()
            .filter_map(|before| {
                let after = given_to(&before, linked.contains(&before.id), home);
                let after = ResourceState { version: before.version + 1, ..after };
                let changes = differences(&before, &after);
                (!changes.is_empty())
                    .then_some(Change { state: after, happening: Happening::Tagged(changes) })
            })
            .collect();
        let moved: Vec<Uuid> = changes.iter().map(|change| change.state.id.as_uuid()).collect();
        sqlx::query!(
            "update syncer.cloud_resources
             set cloud_project_id = $2, version = version + 1,
                 tenant_id = case when linked then tenant_id else $3 end,
                 deployment_id = case when linked then deployment_id else $4 end
             where id = any($1)",
            &moved,
            home.project.map(ProjectId::as_uuid),
            home.tenant.as_ref().map(TenantId::as_str),
            home.deployment.map(DeploymentId::as_uuid),
        )
        .execute(&mut *tx)
        .await?;
        tell(tx, changes, actor, now).await?;
    }
    Ok(())
}

/// Which of the resources an operator linked to their deployments.
async fn linked_among(tx: &mut PgConnection, ids: &[ResourceId]) -> Result<HashSet<ResourceId>, StoreError> {
    let linked = sqlx::query_scalar!(
        "select id from syncer.cloud_resources where id = any($1) and linked",
        &uuids(ids),
    )
    .fetch_all(tx)
    .await?;
    Ok(linked.into_iter().map(ResourceId::from_uuid).collect())
}

/// Whether an operator linked a resource to its deployment.
pub async fn is_linked(tx: &mut PgConnection, id: ResourceId) -> Result<bool, StoreError> {
    Ok(linked_among(tx, &[id]).await?.contains(&id))
}

/// Gives everything in a project, deleted resources too, to the project's tenant: their costs are the tenant's
/// as well. What is part of a deployment is the deployment's tenant's. The caller holds the inventory's lock.
pub async fn follow_project(
    tx: &mut PgConnection,
    home: &Home,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    loop {
        let ids = sqlx::query_scalar!(
            "select id from syncer.cloud_resources
             where cloud_project_id = $1 and tenant_id is distinct from $2 and deployment_id is null
             order by id limit $3",
            home.project.map(ProjectId::as_uuid),
            home.tenant.as_ref().map(TenantId::as_str),
            CHUNK,
        )
        .fetch_all(&mut *tx)
        .await?;
        if ids.is_empty() {
            return Ok(());
        }
        let ids: Vec<ResourceId> = ids.into_iter().map(ResourceId::from_uuid).collect();
        attribute(tx, &ids, home, Some(actor), storable(now)).await?;
    }
}

/// Reads one resource whole, for a command that is about to change it. The caller holds the inventory's lock.
pub async fn find(tx: &mut PgConnection, id: ResourceId) -> Result<Option<ResourceState>, StoreError> {
    Ok(states(tx, &[id]).await?.remove(&id))
}

/// Writes what an operator said about one resource: its attributes, and whose it is. The caller holds the
/// inventory's lock and has counted the version.
pub async fn classify(
    tx: &mut PgConnection,
    change: Change,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update syncer.cloud_resources set attrs = $2, tenant_id = $3, version = $4, deployment_id = $5
         where id = $1",
        change.state.id.as_uuid(),
        Value::Object(change.state.attrs.clone()),
        change.state.tenant_id.as_ref().map(TenantId::as_str),
        change.state.version,
        change.state.deployment_id.map(DeploymentId::as_uuid),
    )
    .execute(&mut *tx)
    .await?;
    tell(tx, vec![change], Some(actor), storable(now)).await
}

/// Writes which deployment an operator linked a resource to, or that it is linked to none, and tells what changed by
/// it, if anything. The caller holds the inventory's lock and has counted the version.
pub async fn link(
    tx: &mut PgConnection,
    id: ResourceId,
    linked: bool,
    change: Option<Change>,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let Some(change) = change else {
        sqlx::query!("update syncer.cloud_resources set linked = $2 where id = $1", id.as_uuid(), linked)
            .execute(tx)
            .await?;
        return Ok(());
    };
    sqlx::query!(
        "update syncer.cloud_resources set linked = $2, tenant_id = $3, deployment_id = $4, version = $5
         where id = $1",
        id.as_uuid(),
        linked,
        change.state.tenant_id.as_ref().map(TenantId::as_str),
        change.state.deployment_id.map(DeploymentId::as_uuid),
        change.state.version,
    )
    .execute(&mut *tx)
    .await?;
    tell(tx, vec![change], Some(actor), storable(now)).await
}

/// The living resources that were taken of one, and so follow it. Those that are linked themselves are among them.
pub async fn followers(tx: &mut PgConnection, of: &ResourceState) -> Result<Vec<ResourceId>, StoreError> {
    let ids = sqlx::query_scalar!(
        "select id from syncer.cloud_resources
         where provider = $1 and kind = 'snapshot' and deleted_at is null
           and attrs->>'resource_type' = $2 and attrs->>'resource_id' = $3
         union all
         select id from syncer.cloud_resources
         where provider = $1 and kind = 'droplet_backup' and deleted_at is null
           and $2 = 'droplet' and attrs->>'droplet_id' = $3",
        of.provider,
        of.kind.as_str(),
        of.provider_id,
    )
    .fetch_all(tx)
    .await?;
    Ok(ids.into_iter().flatten().map(ResourceId::from_uuid).collect())
}

/// Where the droplet or volume belongs that a resource was taken of; `None`: it was taken of nothing in the inventory.
pub async fn home_of_parent(tx: &mut PgConnection, of: ResourceId) -> Result<Option<Home>, StoreError> {
    let row = sqlx::query!(
        "select parent.id, parent.cloud_project_id, parent.tenant_id, parent.deployment_id
         from syncer.cloud_resources r
         join syncer.cloud_resources parent
           on parent.provider = r.provider
          and parent.kind = case r.kind when 'snapshot' then r.attrs->>'resource_type'
                                        when 'droplet_backup' then 'droplet' end
          and parent.provider_id = case r.kind when 'snapshot' then r.attrs->>'resource_id'
                                               when 'droplet_backup' then r.attrs->>'droplet_id' end
         where r.id = $1",
        of.as_uuid(),
    )
    .fetch_optional(tx)
    .await?;
    row.map(|row| home(row.id, row.cloud_project_id, row.tenant_id, row.deployment_id)).transpose()
}

/// A resource that no project has claimed, to be settled.
pub struct Candidate {
    /// Which.
    pub id: ResourceId,
    /// What settling it takes.
    pub resource: Unclaimed,
}

/// Which living resources to look through for [`Candidate`]s.
#[derive(Debug, Clone, Copy)]
pub enum Candidates<'a> {
    /// Of these kinds.
    Of(&'a [ResourceKind]),
    /// Of these kinds, and in no project yet.
    HomelessOf(&'a [ResourceKind]),
}

/// Living resources after `after`, in id order, with their parents' homes; at most a chunk. Empty at the end.
pub async fn candidates(
    tx: &mut PgConnection,
    which: Candidates<'_>,
    after: Option<ResourceId>,
    walk_began_at: DateTime<Utc>,
) -> Result<Vec<Candidate>, StoreError> {
    let (kinds, homeless) = match which {
        Candidates::Of(kinds) => (kinds, false),
        Candidates::HomelessOf(kinds) => (kinds, true),
    };
    let kinds: Vec<&str> = kinds.iter().map(ResourceKind::as_str).collect();
    let rows = sqlx::query!(
        r#"select r.id, r.kind, r.cloud_project_id, r.tenant_id, r.deployment_id, r.linked,
                  r.stale_strike_count > 0 as "missing!", r.first_seen_at >= $4 as "newcomer!",
                  parent.id as "parent_id?", parent.cloud_project_id as "parent_project_id?",
                  parent.tenant_id as "parent_tenant_id?", parent.deployment_id as "parent_deployment_id?",
                  parent.deleted_at as "parent_deleted_at?"
           from syncer.cloud_resources r
           left join syncer.cloud_resources parent
             on parent.provider = r.provider
            and parent.kind = case r.kind when 'snapshot' then r.attrs->>'resource_type'
                                          when 'droplet_backup' then 'droplet' end
            and parent.provider_id = case r.kind when 'snapshot' then r.attrs->>'resource_id'
                                                 when 'droplet_backup' then r.attrs->>'droplet_id' end
           where r.kind = any($1) and r.id > $2 and r.deleted_at is null
             and (not $5 or r.cloud_project_id is null)
           order by r.id limit $3"#,
        &kinds as &[&str],
        after.map_or(Uuid::nil(), ResourceId::as_uuid),
        LIGHT_CHUNK,
        walk_began_at,
        homeless,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let parent = match row.parent_id {
                Some(_)
                    if row.parent_deleted_at.is_some()
                        && row.parent_project_id.is_none()
                        && row.parent_deployment_id.is_none() =>
                {
                    None
                }
                Some(id) => {
                    let (project, deployment) = (row.parent_project_id, row.parent_deployment_id);
                    Some(home(id, project, row.parent_tenant_id, deployment)?)
                }
                None => None,
            };
            let resource = Unclaimed {
                kind: kind(row.id, &row.kind)?,
                home: home(row.id, row.cloud_project_id, row.tenant_id, row.deployment_id)?,
                linked: row.linked,
                missing: row.missing,
                newcomer: row.newcomer,
                parent,
            };
            Ok(Candidate { id: ResourceId::from_uuid(row.id), resource })
        })
        .collect()
}

/// The kinds in the inventory that only membership tells of.
pub async fn member_kinds(tx: &mut PgConnection) -> Result<Vec<ResourceKind>, StoreError> {
    let kinds = sqlx::query_scalar!("select distinct kind from syncer.cloud_resources").fetch_all(tx).await?;
    let kinds = kinds.iter().map(|text| kind(Uuid::nil(), text)).collect::<Result<Vec<_>, _>>()?;
    Ok(kinds.into_iter().filter(|kind| !is_listed(kind)).collect())
}

/// How many living resources each of the projects has that only it can claim. What its own listing misses does not
/// count: it is no loss of the project's.
pub async fn members_of(
    tx: &mut PgConnection,
    projects: &[ProjectId],
) -> Result<HashMap<ProjectId, i64>, StoreError> {
    let projects: Vec<Uuid> = projects.iter().map(|id| id.as_uuid()).collect();
    let names = |kinds: &mut dyn Iterator<Item = &ResourceKind>| -> Vec<String> {
        kinds.map(|kind| kind.as_str().to_owned()).collect()
    };
    let unclaimable =
        |kind: &&ResourceKind| matches!(custom(kind), Custom::FollowsParent | Custom::Unclaimable);
    let rows = sqlx::query!(
        r#"select cloud_project_id as "project!", count(*) as "members!" from syncer.cloud_resources
           where cloud_project_id = any($1) and deleted_at is null and kind <> all($2)
             and (stale_strike_count = 0 or kind <> all($3))
           group by cloud_project_id"#,
        &projects,
        &names(&mut LISTED_KINDS.iter().filter(unclaimable)),
        &names(&mut LISTED_KINDS.iter()),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|row| (ProjectId::from_uuid(row.project), row.members)).collect())
}

/// How many living resources of each kind there are, and how many a run did not see.
pub async fn tallies(
    tx: &mut PgConnection,
    run: &Run,
    kinds: &[ResourceKind],
) -> Result<Vec<Tally>, StoreError> {
    let kinds: Vec<&str> = kinds.iter().map(ResourceKind::as_str).collect();
    let tallies = sqlx::query_as!(
        Tally,
        r#"select count(*) as "known!", count(*) filter (where last_seen_at < $2) as "missing!"
           from syncer.cloud_resources where kind = any($1) and deleted_at is null group by kind"#,
        &kinds as &[&str],
        run.started_at,
    )
    .fetch_all(tx)
    .await?;
    Ok(tallies)
}

/// Strikes the living resources of some kinds that a run did not see, and marks those deleted that have too
/// many strikes. The caller holds the inventory's lock.
pub async fn strike(
    tx: &mut PgConnection,
    run: &Run,
    kinds: &[ResourceKind],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let kinds: Vec<&str> = kinds.iter().map(ResourceKind::as_str).collect();
    sqlx::query!(
        "update syncer.cloud_resources set stale_strike_count = stale_strike_count + 1
         where kind = any($1) and deleted_at is null and last_seen_at < $2",
        &kinds as &[&str],
        run.started_at,
    )
    .execute(&mut *tx)
    .await?;
    let now = storable(now);
    loop {
        let rows = sqlx::query_as!(
            StateRow,
            r#"update syncer.cloud_resources r
               set status = 'deleted', deleted_at = $3, version = version + 1
               where id in (
                   select id from syncer.cloud_resources
                   where kind = any($1) and deleted_at is null and stale_strike_count >= $2
                   order by id limit $4
               )
               returning id, provider, kind, provider_id, name, status, region,
                         attrs as "attrs: Json<Map<String, Value>>", cloud_project_id, tenant_id,
                         deployment_id, first_seen_at, deleted_at, version"#,
            &kinds as &[&str],
            STRIKES_MAX,
            now,
            CHUNK,
        )
        .fetch_all(&mut *tx)
        .await?;
        if rows.is_empty() {
            return Ok(());
        }
        let changes = rows
            .into_iter()
            .map(|row| Ok(Change { state: row.try_into()?, happening: Happening::Deleted }))
            .collect::<Result<Vec<_>, StoreError>>()?;
        tell(tx, changes, None, now).await?;
    }
}

/// The provider ids of the living droplets after `after`, in id order: whose backups to list.
pub async fn living_droplets(
    tx: &mut PgConnection,
    after: Option<ResourceId>,
    limit: i64,
) -> Result<Vec<LivingDroplet>, StoreError> {
    let rows = sqlx::query!(
        r#"select id, provider_id, coalesce((attrs->>'has_backups')::boolean, true) as "may_have_backups!"
           from syncer.cloud_resources
           where kind = 'droplet' and deleted_at is null and id > $1 order by id limit $2"#,
        after.map_or(Uuid::nil(), ResourceId::as_uuid),
        limit,
    )
    .fetch_all(tx)
    .await?;
    let droplets = rows.into_iter().map(|row| LivingDroplet {
        id: ResourceId::from_uuid(row.id),
        provider_id: row.provider_id,
        may_have_backups: row.may_have_backups,
    });
    Ok(droplets.collect())
}

/// A droplet whose backups can be listed.
pub struct LivingDroplet {
    /// Our id.
    pub id: ResourceId,
    /// The provider's.
    pub provider_id: String,
    /// Whether its own row says that there are backups.
    pub may_have_backups: bool,
}

/// How many droplets live.
pub async fn count_droplets(tx: &mut PgConnection) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from syncer.cloud_resources where kind = 'droplet' and deleted_at is null"#
    )
    .fetch_one(tx)
    .await?;
    Ok(count)
}

/// What one call of [`republish_state`] told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The last resource, to go on after; `None` when there were no more.
    pub last: Option<ResourceId>,
    /// How many resources.
    pub count: u64,
}

/// Tells the whole state of resources again, with the version it has: how a compacted stream that was lost is
/// filled. Returns the last id told of, to go on from; `None` at the end.
pub async fn republish_state(
    tx: &mut PgConnection,
    after: Option<ResourceId>,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Told, StoreError> {
    // A change that commits meanwhile must not be told before the state that it changed.
    lock_inventory(tx).await?;
    let rows = sqlx::query_as!(
        StateRow,
        r#"select id, provider, kind, provider_id, name, status, region, attrs as "attrs: Json<Map<String, Value>>",
                  cloud_project_id, tenant_id, deployment_id, first_seen_at, deleted_at, version
           from syncer.cloud_resources where id > $1 order by id limit $2"#,
        after.map_or(Uuid::nil(), ResourceId::as_uuid),
        limit,
    )
    .fetch_all(&mut *tx)
    .await?;
    let states = rows.into_iter().map(ResourceState::try_from).collect::<Result<Vec<_>, _>>()?;
    let last = states.last().map(|state| state.id);
    let count = states.len() as u64;
    let drafts = states
        .into_iter()
        .map(|resource| {
            let event = ResourceUpdated { resource, changes: Vec::new() };
            Draft::event(Service::Syncer, &event, now)
        })
        .collect::<Result<Vec<_>, _>>()?;
    outbox::add(tx, &drafts).await?;
    Ok(Told { last, count })
}
