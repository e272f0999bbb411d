//! `meterer.known_deployment`: whose each deployment is, and in which currency it is charged.

use std::collections::HashMap;

use contracts::{TenantId, ids::DeploymentId};
use money::Currency;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// A deployment, as far as usage depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDeployment {
    /// Biller's id of it.
    pub deployment_id: DeploymentId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Its plan's; `None` before its first plan.
    pub currency: Option<Currency>,
    /// Counts the deployment's events.
    pub version: i64,
}

struct Row {
    deployment_id: Uuid,
    tenant_id: String,
    currency: Option<String>,
    version: i64,
}

impl TryFrom<Row> for KnownDeployment {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            deployment_id: DeploymentId::from_uuid(row.deployment_id),
            tenant_id: super::tenant(row.tenant_id)?,
            currency: row.currency.as_deref().map(super::currency).transpose()?,
            version: row.version,
        })
    }
}

/// Those of these that are known.
pub async fn find(
    tx: &mut PgConnection,
    ids: &[Uuid],
) -> Result<HashMap<DeploymentId, KnownDeployment>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "select deployment_id, tenant_id, currency, version
         from meterer.known_deployment where deployment_id = any($1)",
        ids,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let known = KnownDeployment::try_from(row)?;
            Ok((known.deployment_id, known))
        })
        .collect()
}

/// Keeps a newer version; an equal or older one changes nothing. Returns whether it was news.
pub async fn save(tx: &mut PgConnection, deployment: &KnownDeployment) -> Result<bool, sqlx::Error> {
    let saved = sqlx::query!(
        "insert into meterer.known_deployment as known (deployment_id, tenant_id, currency, version)
         values ($1, $2, $3, $4)
         on conflict (deployment_id) do update set
           tenant_id = excluded.tenant_id,
           currency = excluded.currency,
           version = excluded.version
         where known.version < excluded.version",
        deployment.deployment_id.as_uuid(),
        deployment.tenant_id.as_str(),
        deployment.currency.as_ref().map(Currency::as_str),
        deployment.version,
    )
    .execute(tx)
    .await?;
    Ok(saved.rows_affected() == 1)
}
