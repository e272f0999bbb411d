//! What is older than its retention goes, some rows at a time, so that nothing waits long for it.

use sqlx::PgConnection;

use crate::domain::retention::Expired;

/// Rows that go in one transaction.
pub const BATCH: i64 = 10_000;

/// Deletes at most [`BATCH`] rows and says how many; fewer than that is all there were.
pub async fn delete_some(tx: &mut PgConnection, expired: &Expired) -> Result<u64, sqlx::Error> {
    let deleted = match expired {
        Expired::UsageRecords { billing_kind, before } => {
            sqlx::query!(
                "delete from meterer.usage_records where ctid = any(array(
                   select ctid from meterer.usage_records
                   where billing_kind = $1 and period_start < $2::date::timestamp at time zone 'UTC'
                   limit $3))",
                billing_kind,
                before,
                BATCH,
            )
            .execute(tx)
            .await?
        }
        Expired::UnmeteredResources { billing_kind, before } => {
            sqlx::query!(
                "delete from meterer.unmetered_resources where ctid = any(array(
                   select ctid from meterer.unmetered_resources
                   where billing_kind = $1 and day < $2
                   limit $3))",
                billing_kind,
                before,
                BATCH,
            )
            .execute(tx)
            .await?
        }
        Expired::ResourceStates { before } => {
            super::lock_metering(tx).await?;
            // First of all it is said that earlier days cannot be metered any more.
            sqlx::query!(
                "update meterer.metering_progress set states_kept_from = $1
                 where states_kept_from is null or states_kept_from < $1",
                before,
            )
            .execute(&mut *tx)
            .await?;
            sqlx::query!(
                "delete from meterer.resource_state where ctid = any(array(
                   select ctid from meterer.resource_state
                   where superseded_at < $1::date::timestamp at time zone 'UTC'
                   limit $2))",
                before,
                BATCH,
            )
            .execute(tx)
            .await?
        }
        Expired::LlmUsageEvents { before } => {
            sqlx::query!(
                "delete from meterer.llm_usage_events where ctid = any(array(
                   select ctid from meterer.llm_usage_events
                   where occurred_at < $1::date::timestamp at time zone 'UTC'
                   limit $2))",
                before,
                BATCH,
            )
            .execute(tx)
            .await?
        }
        Expired::UsageProducers { before } => {
            sqlx::query!(
                "delete from meterer.usage_producers where producer = any(array(
                   select producer from meterer.usage_producers
                   where seen_at < $1::date::timestamp at time zone 'UTC'
                   limit $2))",
                before,
                BATCH,
            )
            .execute(tx)
            .await?
        }
    };
    Ok(deleted.rows_affected())
}
