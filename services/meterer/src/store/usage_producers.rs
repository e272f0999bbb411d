//! `meterer.usage_producers`: which of the numbers that producers give their messages have come.

use chrono::{DateTime, Utc};
use contracts::meterer::UsageProducer;
use sqlx::{PgConnection, types::Json};

use super::StoreError;
use crate::domain::producers::{Seen, Tally};

/// Gaps that are shown of one producer.
const GAPS_SHOWN: i64 = 20;

/// Notes what has come in a batch: the numbers up to the highest are missing until they come.
pub async fn note(tx: &mut PgConnection, tally: &Tally, seen_at: DateTime<Utc>) -> Result<(), sqlx::Error> {
    if tally.producers.is_empty() {
        return Ok(());
    }
    let count = tally.producers.len();
    let (mut names, mut highest) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut received = Vec::with_capacity(count);
    for (name, seen) in &tally.producers {
        names.push(name.as_str());
        highest.push(seen.highest);
        received.push(Seen::as_multirange(seen));
    }
    // A producer that counts wrongly could make any number of gaps, which every batch would write again. From some
    // thousands on they are kept as one from the first to the last: nothing that is missing is ever taken for received.
    sqlx::query!(
        "insert into meterer.usage_producers as known (producer, highest, missing, seen_at)
         select producer, highest, int8multirange(int8range(1, highest, '[]')) - received::int8multirange, $4
         from unnest($1::text[], $2::bigint[], $3::text[]) as given (producer, highest, received)
         on conflict (producer) do update set
           highest = greatest(known.highest, excluded.highest),
           seen_at = excluded.seen_at,
           missing = (
             select case when (select count(*) from unnest(gaps.now)) > 4096
                         then int8multirange(range_merge(gaps.now)) else gaps.now end
             from (select (known.missing + case when excluded.highest > known.highest
                             then int8multirange(int8range(known.highest, excluded.highest, '(]'))
                             else int8multirange() end)
                          - (int8multirange(int8range(1, excluded.highest, '[]')) - excluded.missing) as now) gaps)",
        &names as &[&str],
        &highest,
        &received,
        seen_at,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Producers after `after`, by name.
pub async fn page(
    tx: &mut PgConnection,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<UsageProducer>, StoreError> {
    let rows = sqlx::query!(
        r#"select producer, highest, seen_at,
                  (select coalesce(sum(upper(gap) - lower(gap)), 0)::bigint from unnest(missing) gap) as "missing!",
                  (select coalesce(json_agg(json_build_array(lower(gap), upper(gap) - 1) order by gap), '[]')
                   from (select gap from unnest(missing) gap order by gap limit $3) first)
                    as "gaps!: Json<Vec<(u64, u64)>>"
           from meterer.usage_producers
           where $1::text is null or producer > $1
           order by producer limit $2"#,
        after,
        limit,
        GAPS_SHOWN,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let count = |value: i64| u64::try_from(value).map_err(|_| StoreError::Corrupt("usage_producers"));
            Ok(UsageProducer {
                producer: row.producer,
                highest: count(row.highest)?,
                missing: count(row.missing)?,
                gaps: row.gaps.0,
                seen_at: row.seen_at,
            })
        })
        .collect()
}
