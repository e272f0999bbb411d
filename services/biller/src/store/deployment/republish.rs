//! The present state told again, with the version it has: how a compacted stream that was lost is filled.

use chrono::{DateTime, Utc};
use contracts::{Service, biller::DeploymentUpdated, ids::DeploymentId};
use messaging::outbox::{self, Draft};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, many};

/// What one call of [`republish_state`] told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The last deployment, to go on after; `None` when there were no more.
    pub last: Option<DeploymentId>,
    /// How many deployments.
    pub count: u64,
}

/// Tells of at most `limit` deployments after `after`, in id order.
pub async fn republish_state(
    tx: &mut PgConnection,
    after: Option<DeploymentId>,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Told, StoreError> {
    // Locked: a change that commits meanwhile must not be told before the state that it changed.
    let locked = sqlx::query_scalar!(
        "select id from biller.cloud_deployments where id > $1 order by id limit $2 for no key update",
        after.map_or(Uuid::nil(), DeploymentId::as_uuid),
        limit,
    )
    .fetch_all(&mut *tx)
    .await?;
    let ids: Vec<DeploymentId> = locked.into_iter().map(DeploymentId::from_uuid).collect();
    let deployments = many(tx, &ids, None).await?;
    let drafts = deployments
        .into_iter()
        .map(|deployment| Draft::event(Service::Biller, &DeploymentUpdated { deployment }, now))
        .collect::<Result<Vec<_>, _>>()?;
    outbox::add(tx, &drafts).await?;
    Ok(Told { last: ids.last().copied(), count: drafts.len() as u64 })
}
