//! `known_deployment`: the last known state of every deployment, as far as links depend on it.

use contracts::{TenantId, biller::Deployment, ids::DeploymentId};
use sqlx::PgConnection;

use super::StoreError;
use crate::domain::link::KnownDeployment;

/// Keeps a newer version; an equal or older one changes nothing.
pub async fn save(tx: &mut PgConnection, deployment: &Deployment) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into syncer.known_deployment as known (deployment_id, tenant_id, state, version)
         values ($1, $2, $3, $4)
         on conflict (deployment_id) do update set
           tenant_id = excluded.tenant_id,
           state = excluded.state,
           version = excluded.version
         where known.version < excluded.version",
        deployment.id.as_uuid(),
        deployment.tenant_id.as_str(),
        deployment.state.as_str(),
        deployment.version,
    )
    .execute(tx)
    .await
    .map(drop)
}

/// One deployment.
pub async fn find(tx: &mut PgConnection, id: DeploymentId) -> Result<Option<KnownDeployment>, StoreError> {
    let row = sqlx::query!(
        "select deployment_id, tenant_id, state
         from syncer.known_deployment where deployment_id = $1",
        id.as_uuid(),
    )
    .fetch_optional(tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let corrupt = |column| StoreError::Corrupt { id: row.deployment_id, column };
    Ok(Some(KnownDeployment {
        id,
        tenant_id: TenantId::try_from(row.tenant_id).map_err(|_| corrupt("tenant_id"))?,
        state: row.state.parse().map_err(|_| corrupt("state"))?,
    }))
}
