//! `meterer.metering_config`: how each billing kind is metered, and how long its records are kept.

use contracts::{
    ids::BillingKind,
    meterer::{Granularity, MeteringConfig},
};
use sqlx::PgConnection;

use super::StoreError;

/// Every kind.
pub async fn all(tx: &mut PgConnection) -> Result<Vec<MeteringConfig>, StoreError> {
    let rows = sqlx::query!(
        "select billing_kind, granularity, retention_days from meterer.metering_config order by billing_kind"
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let granularity: Granularity =
                row.granularity.parse().map_err(|_| StoreError::Corrupt("metering_config.granularity"))?;
            let billing_kind: BillingKind = super::billing_kind(row.billing_kind)?;
            Ok(MeteringConfig { billing_kind, granularity, retention_days: row.retention_days })
        })
        .collect()
}

/// Changes a kind; false: there is no such kind.
pub async fn save(tx: &mut PgConnection, config: &MeteringConfig) -> Result<bool, sqlx::Error> {
    let saved = sqlx::query!(
        "update meterer.metering_config set granularity = $2, retention_days = $3 where billing_kind = $1",
        config.billing_kind.as_str(),
        config.granularity.as_str(),
        config.retention_days,
    )
    .execute(tx)
    .await?;
    Ok(saved.rows_affected() == 1)
}
