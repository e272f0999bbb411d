//! `cloud_projects`: the mirror of the provider's projects.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contracts::{
    Service, TenantId,
    ids::ProjectId,
    syncer::{Project, ProjectDeleted, ProjectDiscovered, ProjectRestored, ProjectTagged, ProjectUpdated},
};
use messaging::outbox::{self, Draft};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, listing, resource::tenant, storable};
use crate::domain::{
    absence::{STRIKES_MAX, Tally},
    attribution::Home,
    listing::Run,
    observation::PROVIDER,
    project::{self, Mirrored, ObservedProject, ProjectHappening},
};

/// A row with everything an event tells.
pub(super) struct ProjectRow {
    pub id: Uuid,
    pub provider: String,
    pub provider_id: String,
    pub name: String,
    pub environment: Option<String>,
    pub tenant_id: Option<String>,
    pub purpose: Option<String>,
    pub purpose_from_operator: bool,
    pub first_seen_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

impl TryFrom<ProjectRow> for Mirrored {
    type Error = StoreError;

    fn try_from(row: ProjectRow) -> Result<Self, StoreError> {
        let project = Project {
            id: ProjectId::from_uuid(row.id),
            provider: row.provider,
            provider_id: row.provider_id,
            name: row.name,
            environment: row.environment,
            tenant_id: tenant(row.id, row.tenant_id)?,
            purpose: row.purpose,
            first_seen_at: row.first_seen_at,
            last_seen_at: row.last_seen_at,
            deleted_at: row.deleted_at,
        };
        Ok(Self { project, purpose_from_operator: row.purpose_from_operator })
    }
}

/// Writes one page of projects and returns our ids of them, in the page's order.
pub async fn write_page(
    tx: &mut PgConnection,
    run: &Run,
    page: &[ObservedProject],
    now: DateTime<Utc>,
) -> Result<Vec<ProjectId>, StoreError> {
    listing::lock(tx, run).await?;
    let now = storable(run.sighted_at(now));
    let known = bump(tx, page, now).await?;
    let (mut ids, mut new, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for observed in page {
        match known.get(&observed.provider_id) {
            None => {
                let id = ProjectId::from_uuid(Uuid::now_v7());
                ids.push(id);
                new.push((project::discover(id, observed, now), ProjectHappening::Discovered));
            }
            Some(before) => {
                ids.push(before.project.id);
                changed.extend(project::reconcile(before, observed, now));
            }
        }
    }
    insert(tx, &new).await?;
    save(tx, &changed).await?;
    tell(tx, new.into_iter().chain(changed), now).await?;
    Ok(ids)
}

async fn bump(
    tx: &mut PgConnection,
    page: &[ObservedProject],
    now: DateTime<Utc>,
) -> Result<HashMap<String, Mirrored>, StoreError> {
    let provider_ids: Vec<&str> = page.iter().map(|observed| observed.provider_id.as_str()).collect();
    let rows = sqlx::query_as!(
        ProjectRow,
        "update syncer.cloud_projects set last_seen_at = $3, stale_strike_count = 0
         where provider = $1 and provider_id = any($2)
         returning id, provider, provider_id, name, environment, tenant_id, purpose, purpose_from_operator,
                   first_seen_at, last_seen_at, deleted_at",
        PROVIDER,
        &provider_ids as &[&str],
        now,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(|row| Ok((row.provider_id.clone(), row.try_into()?))).collect()
}

async fn insert(tx: &mut PgConnection, new: &[(Mirrored, ProjectHappening)]) -> Result<(), StoreError> {
    if new.is_empty() {
        return Ok(());
    }
    let projects = || new.iter().map(|(mirrored, _)| &mirrored.project);
    let ids: Vec<Uuid> = projects().map(|project| project.id.as_uuid()).collect();
    let provider_ids: Vec<&str> = projects().map(|project| project.provider_id.as_str()).collect();
    let names: Vec<&str> = projects().map(|project| project.name.as_str()).collect();
    let environments: Vec<Option<&str>> = projects().map(|project| project.environment.as_deref()).collect();
    let purposes: Vec<Option<&str>> = projects().map(|project| project.purpose.as_deref()).collect();
    let seen: Vec<DateTime<Utc>> = projects().map(|project| project.first_seen_at).collect();
    sqlx::query!(
        "insert into syncer.cloud_projects (
             id, provider, provider_id, name, environment, purpose, first_seen_at, last_seen_at
         )
         select id, $1, provider_id, name, environment, purpose, seen_at, seen_at
         from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
              as seen (id, provider_id, name, environment, purpose, seen_at)",
        PROVIDER,
        &ids,
        &provider_ids as &[&str],
        &names as &[&str],
        &environments as &[Option<&str>],
        &purposes as &[Option<&str>],
        &seen,
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn save(tx: &mut PgConnection, changed: &[(Mirrored, ProjectHappening)]) -> Result<(), StoreError> {
    if changed.is_empty() {
        return Ok(());
    }
    let projects = || changed.iter().map(|(mirrored, _)| &mirrored.project);
    let ids: Vec<Uuid> = projects().map(|project| project.id.as_uuid()).collect();
    let names: Vec<&str> = projects().map(|project| project.name.as_str()).collect();
    let environments: Vec<Option<&str>> = projects().map(|project| project.environment.as_deref()).collect();
    let purposes: Vec<Option<&str>> = projects().map(|project| project.purpose.as_deref()).collect();
    sqlx::query!(
        "update syncer.cloud_projects p
         set name = seen.name, environment = seen.environment, purpose = seen.purpose, deleted_at = null
         from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as seen (id, name, environment, purpose)
         where p.id = seen.id",
        &ids,
        &names as &[&str],
        &environments as &[Option<&str>],
        &purposes as &[Option<&str>],
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn tell(
    tx: &mut PgConnection,
    happened: impl Iterator<Item = (Mirrored, ProjectHappening)>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let drafts = happened
        .map(|(mirrored, happening)| draft(mirrored.project, happening, now))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(outbox::add(tx, &drafts).await?)
}

fn draft(
    project: Project,
    happening: ProjectHappening,
    now: DateTime<Utc>,
) -> Result<Draft, serde_json::Error> {
    match happening {
        ProjectHappening::Discovered => Draft::event(Service::Syncer, &ProjectDiscovered { project }, now),
        ProjectHappening::Updated => Draft::event(Service::Syncer, &ProjectUpdated { project }, now),
        ProjectHappening::Deleted => Draft::event(Service::Syncer, &ProjectDeleted { project }, now),
        ProjectHappening::Restored => Draft::event(Service::Syncer, &ProjectRestored { project }, now),
        ProjectHappening::Tagged => Draft::event(Service::Syncer, &ProjectTagged { project }, now),
    }
}

/// Where a project's members belong. The caller holds the inventory's lock.
pub async fn home(tx: &mut PgConnection, id: ProjectId) -> Result<Home, StoreError> {
    let text = sqlx::query_scalar!("select tenant_id from syncer.cloud_projects where id = $1", id.as_uuid())
        .fetch_one(tx)
        .await?;
    Ok(Home { project: Some(id), tenant: tenant(id.as_uuid(), text)?, deployment: None })
}

/// The living project of a name: the one seen last, should there be two.
pub async fn find_by_name(tx: &mut PgConnection, name: &str) -> Result<Option<Home>, StoreError> {
    let row = sqlx::query!(
        "select id, tenant_id from syncer.cloud_projects
         where provider = $1 and name = $2 and deleted_at is null order by last_seen_at desc, id limit 1",
        PROVIDER,
        name,
    )
    .fetch_optional(tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let project = Some(ProjectId::from_uuid(row.id));
    Ok(Some(Home { project, tenant: tenant(row.id, row.tenant_id)?, deployment: None }))
}

/// Reads a project for a command that is about to change it. The caller holds the inventory's lock.
pub async fn find(tx: &mut PgConnection, id: ProjectId) -> Result<Option<Mirrored>, StoreError> {
    let row = sqlx::query_as!(
        ProjectRow,
        "select id, provider, provider_id, name, environment, tenant_id, purpose, purpose_from_operator,
                first_seen_at, last_seen_at, deleted_at
         from syncer.cloud_projects where id = $1",
        id.as_uuid(),
    )
    .fetch_optional(tx)
    .await?;
    row.map(Mirrored::try_from).transpose()
}

/// Writes what an operator said about a project. The caller holds the inventory's lock.
pub async fn classify(
    tx: &mut PgConnection,
    mirrored: Mirrored,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update syncer.cloud_projects set tenant_id = $2, purpose = $3, purpose_from_operator = $4 where id = $1",
        mirrored.project.id.as_uuid(),
        mirrored.project.tenant_id.as_ref().map(TenantId::as_str),
        mirrored.project.purpose,
        mirrored.purpose_from_operator,
    )
    .execute(&mut *tx)
    .await?;
    tell(tx, std::iter::once((mirrored, ProjectHappening::Tagged)), now).await
}

/// How many living projects there are, and how many a run did not see.
pub async fn tally(tx: &mut PgConnection, run: &Run) -> Result<Tally, StoreError> {
    let tally = sqlx::query_as!(
        Tally,
        r#"select count(*) as "known!", count(*) filter (where last_seen_at < $1) as "missing!"
           from syncer.cloud_projects where deleted_at is null"#,
        run.started_at,
    )
    .fetch_one(tx)
    .await?;
    Ok(tally)
}

/// Strikes the living projects that a run did not see, and marks those deleted that have too many strikes. The
/// caller holds the inventory's lock.
pub async fn strike(tx: &mut PgConnection, run: &Run, now: DateTime<Utc>) -> Result<(), StoreError> {
    let struck = sqlx::query_as!(
        ProjectRow,
        "update syncer.cloud_projects
         set stale_strike_count = stale_strike_count + 1,
             deleted_at = case when stale_strike_count + 1 >= $2 then $3::timestamptz end
         where deleted_at is null and last_seen_at < $1
         returning id, provider, provider_id, name, environment, tenant_id, purpose, purpose_from_operator,
                   first_seen_at, last_seen_at, deleted_at",
        run.started_at,
        i32::from(STRIKES_MAX),
        storable(now),
    )
    .fetch_all(&mut *tx)
    .await?;
    let deleted = struck
        .into_iter()
        .filter(|row| row.deleted_at.is_some())
        .map(|row| Ok((row.try_into()?, ProjectHappening::Deleted)))
        .collect::<Result<Vec<_>, StoreError>>()?;
    tell(tx, deleted.into_iter(), now).await
}
