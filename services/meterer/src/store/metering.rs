//! A day's metering, as one set-wise pass over the states that were in force on it.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    Service,
    meterer::{DayMetered, Granularity, MeteredDay},
};
use messaging::outbox::{self, Draft};
use money::Decimal;
use sqlx::PgConnection;

use super::StoreError;
use crate::domain::accrual::{self, Period};

/// Makes the records of a day what is known of it now, and announces it when anything changed by it. A billing kind
/// whose retention the day is beyond is left without records. The caller holds [`super::lock_metering`].
pub async fn meter_day(
    tx: &mut PgConnection,
    day: NaiveDate,
    now: DateTime<Utc>,
) -> Result<MeteredDay, StoreError> {
    let whole = accrual::periods(day, Granularity::Daily);
    let (Some(first), Some(last)) = (whole.first(), whole.last()) else {
        return Ok(MeteredDay { day, records: 0, changed: 0, unmetered: 0 });
    };
    let hours = accrual::periods(day, Granularity::Hourly);
    let periods: Vec<&Period> = whole.iter().chain(&hours).collect();
    let meters = accrual::meters();
    // By the hour, a large inventory takes longer than a statement usually may.
    sqlx::query!(r#"select set_config('statement_timeout', '5min', true) as "patience!""#)
        .fetch_one(&mut *tx)
        .await?;

    // The domain says which periods and kinds there are and what share of the month a period is; Postgres finds the
    // state in force and multiplies. In Rust the same is `accrual::in_force` and `accrual::quantity`; a test holds
    // the two against each other. `candidate` is every state that was in force at any time of the day and no
    // deletion, so that the last of a period is the one that counts. Everything but the two tables' indexes is read
    // once; what is as it was is not written.
    let metered = sqlx::query!(
        r#"with period as (
             select * from unnest($1::timestamptz[], $2::timestamptz[], $3::text[], $4::numeric[], $5::numeric[])
               as period (start_at, end_at, granularity, hours, share)
           ), meter as (
             select meter.*, config.granularity
             from unnest($6::text[], $7::text[], $8::text[]) as meter (resource_kind, billing_kind, measure)
             join meterer.metering_config config using (billing_kind)
             where $9::date >= $10::date - config.retention_days
           ), candidate as (
             select resource_id, version, from_at, superseded_at, kind, name, status, size_gigabytes,
                    deployment_id, tenant_id
             from meterer.resource_state
             where not deleted and from_at < $12 and (superseded_at is null or superseded_at >= $11)
           ), in_force as (
             select distinct on (candidate.resource_id, period.start_at)
                    candidate.*, period.*, meter.billing_kind, meter.measure
             from candidate
             join meter on meter.resource_kind = candidate.kind
             join period on period.granularity = meter.granularity
               and candidate.from_at < period.end_at
               and (candidate.superseded_at is null or candidate.superseded_at >= period.start_at)
             order by candidate.resource_id, period.start_at, candidate.version desc
           ), measured as materialized (
             select deployment_id, resource_id, billing_kind, granularity, start_at, tenant_id, kind, name,
                    case measure
                      when 'active_hours' then case status when 'active' then hours else 0 end
                      when 'gigabyte_months' then size_gigabytes * share
                      when 'months' then share
                    end as qty
             from in_force
             where deployment_id is not null and tenant_id is not null
           ), difference as materialized (
             select known.ctid as known, fresh.*
             from (select * from measured where qty is not null) fresh
             full join (select ctid, deployment_id, resource_id, billing_kind, granularity,
                               period_start as start_at, tenant_id, resource_kind, qty
                        from meterer.usage_records
                        where billing_kind = any($7) and period_start >= $11 and period_start < $12) known
               using (deployment_id, resource_id, billing_kind, granularity, start_at)
             where (fresh.tenant_id, fresh.kind, fresh.qty)
               is distinct from (known.tenant_id, known.resource_kind, known.qty)
           ), added as (
             insert into meterer.usage_records
               (deployment_id, resource_id, billing_kind, granularity, period_start, tenant_id, resource_kind, qty)
             select deployment_id, resource_id, billing_kind, granularity, start_at, tenant_id, kind, qty
             from difference where known is null
           ), corrected as (
             update meterer.usage_records record
             set tenant_id = difference.tenant_id, resource_kind = difference.kind, qty = difference.qty
             from difference
             where record.ctid = difference.known and difference.known is not null and difference.qty is not null
           ), removed as (
             delete from meterer.usage_records record
             using difference
             where record.ctid = difference.known and difference.qty is null
           ), unknown as materialized (
             select distinct on (resource_id, billing_kind)
                    resource_id, billing_kind, kind, name, tenant_id, deployment_id, 'size_unknown' as reason
             from measured where qty is null
             order by resource_id, billing_kind, start_at desc
           ), settled as (
             delete from meterer.unmetered_resources listed
             where listed.day = $9 and listed.billing_kind = any($7)
               and not exists (select from unknown
                               where unknown.resource_id = listed.resource_id
                                 and unknown.billing_kind = listed.billing_kind)
             returning 1
           ), listed as (
             insert into meterer.unmetered_resources as listed
               (day, resource_id, billing_kind, resource_kind, name, tenant_id, deployment_id, reason)
             select $9, resource_id, billing_kind, kind, name, tenant_id, deployment_id, reason from unknown
             on conflict (day, resource_id, billing_kind) do update set
               resource_kind = excluded.resource_kind, name = excluded.name, tenant_id = excluded.tenant_id,
               deployment_id = excluded.deployment_id, reason = excluded.reason
             where (listed.resource_kind, listed.name, listed.tenant_id, listed.deployment_id, listed.reason)
               is distinct from
                   (excluded.resource_kind, excluded.name, excluded.tenant_id, excluded.deployment_id, excluded.reason)
             returning 1
           )
           select (select count(*) from measured where qty is not null) as "records!",
                  (select count(*) from difference) as "changed!",
                  (select count(*) from unknown) as "unmetered!",
                  (select count(*) from settled) + (select count(*) from listed) as "relisted!""#,
        &periods.iter().map(|period| period.start).collect::<Vec<_>>(),
        &periods.iter().map(|period| period.end).collect::<Vec<_>>(),
        &periods.iter().map(|period| period.granularity.as_str().to_owned()).collect::<Vec<_>>(),
        &periods.iter().map(|period| period.hours).collect::<Vec<Decimal>>(),
        &periods.iter().map(|period| period.share).collect::<Vec<Decimal>>(),
        &meters.map(|meter| meter.resource_kind.to_owned()),
        &meters.map(|meter| meter.billing_kind.to_owned()),
        &meters.map(|meter| meter.measure.as_str().to_owned()),
        day,
        now.date_naive(),
        first.start,
        last.end,
    )
    .fetch_one(&mut *tx)
    .await?;

    let count = |rows: i64| rows.unsigned_abs();
    let metered_day = MeteredDay {
        day,
        records: count(metered.records),
        changed: count(metered.changed),
        unmetered: count(metered.unmetered),
    };
    if metered.changed + metered.relisted > 0 {
        let event = DayMetered { day: metered_day.clone() };
        outbox::add(tx, &[Draft::event(Service::Meterer, &event, now)?]).await?;
    }
    Ok(metered_day)
}
