//! `meterer.metering_progress`: how far metering has come.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

use crate::domain::{
    accrual,
    calendar::{self, Progress},
};

/// How far it has come, and from where on it could go again.
pub async fn get(tx: &mut PgConnection, now: DateTime<Utc>) -> Result<Progress, sqlx::Error> {
    let kinds = accrual::meters().map(|meter| meter.billing_kind.to_owned());
    // The first use is looked for only as long as nothing is metered.
    let row = sqlx::query!(
        r#"select metered_through, states_kept_from,
                  (select max(retention_days) from meterer.metering_config where billing_kind = any($1))
                    as "retention_days!",
                  case when metered_through is null then
                    (select (min(from_at) at time zone 'UTC')::date from meterer.resource_state
                     where deployment_id is not null)
                  end as first_used
           from meterer.metering_progress"#,
        &kinds,
    )
    .fetch_one(tx)
    .await?;
    Ok(Progress {
        metered_through: row.metered_through,
        first_used: row.first_used,
        earliest: calendar::earliest(now.date_naive(), row.retention_days, row.states_kept_from),
    })
}

/// Says that all days up to `day` are metered.
pub async fn advance(tx: &mut PgConnection, day: NaiveDate) -> Result<(), sqlx::Error> {
    sqlx::query!("update meterer.metering_progress set metered_through = $1", day).execute(tx).await.map(drop)
}
