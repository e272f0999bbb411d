//! Which days can be metered, and which is next.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use contracts::Problem;

use super::retention;

/// How long after midnight (UTC) a day is complete: what was seen on it has been told by then.
const SETTLING: TimeDelta = TimeDelta::minutes(70);
/// The longest span of a question about usage, and of one about everyone's.
const SPAN_DAYS_MAX: i64 = 400;
const EVERYONES_DAYS_MAX: i64 = 31;
/// There is no usage before or after, nor a database that could be asked about any.
const YEARS: (i32, i32) = (2000, 9999);

/// The last day that is complete.
pub fn last_complete(now: DateTime<Utc>) -> NaiveDate {
    let settled = (now - SETTLING).date_naive();
    settled.pred_opt().unwrap_or(settled)
}

/// The earliest day of which anything is kept.
pub fn earliest(today: NaiveDate, retention_days: i32, states_kept_from: Option<NaiveDate>) -> NaiveDate {
    let kept = retention::kept_from(today, retention_days);
    states_kept_from.map_or(kept, |from| from.max(kept))
}

/// How far metering has come, and what it goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The last day that is metered with all before it.
    pub metered_through: Option<NaiveDate>,
    /// The first day on which anything belonged to a deployment.
    pub first_used: Option<NaiveDate>,
    /// See [`earliest`].
    pub earliest: NaiveDate,
}

/// The next day to meter; `None`: all that is complete is metered, or there is nothing to meter.
pub fn next_day(progress: &Progress, now: DateTime<Utc>) -> Option<NaiveDate> {
    let next = match progress.metered_through {
        Some(through) => through.succ_opt()?,
        None => progress.first_used?,
    };
    let next = next.max(progress.earliest);
    (next <= last_complete(now)).then_some(next)
}

/// A span of days that nobody can be answered for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {detail}")]
pub struct InvalidSpan {
    /// Which end of it.
    pub field: &'static str,
    /// What is wrong with it.
    pub detail: String,
}

impl From<InvalidSpan> for Problem {
    fn from(span: InvalidSpan) -> Self {
        Self::unprocessable(span.field, span.detail)
    }
}

/// Refuses a span of days that is empty, too long or out of this world.
pub fn check_span(from: NaiveDate, to: NaiveDate) -> Result<(), InvalidSpan> {
    let refuse = |field, detail| Err(InvalidSpan { field, detail });
    let (first, last) = YEARS;
    for (field, day) in [("from", from), ("to", to)] {
        if !(first..=last).contains(&day.year()) {
            return refuse(field, format!("must be a day of the years {first} to {last}"));
        }
    }
    match (to - from).num_days() {
        ..=0 => refuse("to", "must be after from, as it is the first day that does not count".to_owned()),
        1..=SPAN_DAYS_MAX => Ok(()),
        _ => refuse("to", format!("must be at most {SPAN_DAYS_MAX} days after from")),
    }
}

/// The same for a question about everyone's usage: that reads whatever there is of these days, so it is of few.
pub fn check_everyones_span(from: NaiveDate, to: NaiveDate) -> Result<(), InvalidSpan> {
    check_span(from, to)?;
    if (to - from).num_days() > EVERYONES_DAYS_MAX {
        let detail =
            format!("must be at most {EVERYONES_DAYS_MAX} days after from without a deployment or a tenant");
        return Err(InvalidSpan { field: "to", detail });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_is_complete_at_ten_past_one_on_the_next() {
        for (now, complete) in [
            ("2026-05-10T01:09:59Z", "2026-05-08"),
            ("2026-05-10T01:10:00Z", "2026-05-09"),
            ("2026-05-10T23:59:59Z", "2026-05-09"),
            ("2026-05-11T00:30:00Z", "2026-05-09"),
        ] {
            assert_eq!(last_complete(now.parse().unwrap()), day(complete), "{now}");
        }
    }

    #[test]
    fn missed_days_come_one_after_another_and_none_twice() {
        let now = "2026-05-10T01:10:00Z".parse().unwrap();
        let progress = |through: Option<&str>, used: Option<&str>| Progress {
            metered_through: through.map(day),
            first_used: used.map(day),
            earliest: day("2026-05-01"),
        };
        for (through, used, next) in [
            (None, None, None),
            (None, Some("2026-05-07"), Some("2026-05-07")),
            (None, Some("2020-01-01"), Some("2026-05-01")),
            (None, Some("2026-05-10"), None),
            (Some("2026-05-06"), Some("2026-05-02"), Some("2026-05-07")),
            (Some("2026-05-09"), Some("2026-05-02"), None),
            (Some("2025-01-01"), None, Some("2026-05-01")),
        ] {
            assert_eq!(next_day(&progress(through, used), now), next.map(day), "{through:?} {used:?}");
        }
    }

    #[test]
    fn nothing_older_than_the_longest_retention_or_the_states_is_metered() {
        let today = day("2026-05-10");
        assert_eq!(earliest(today, 40, None), day("2026-03-31"));
        assert_eq!(earliest(today, 40, Some(day("2026-05-02"))), day("2026-05-02"));
        assert_eq!(earliest(today, 40, Some(day("2020-01-01"))), day("2026-03-31"));
    }

    #[test]
    fn a_span_has_at_least_one_day_and_at_most_four_hundred() {
        let refused = |from: &str, to: &str| check_span(day(from), day(to)).err().map(|span| span.field);
        assert_eq!(refused("2026-05-01", "2026-05-02"), None);
        assert_eq!(refused("2026-05-01", "2027-06-05"), None);
        assert_eq!(refused("2026-05-01", "2027-06-06"), Some("to"));
        assert_eq!(refused("2026-05-01", "2026-05-01"), Some("to"));
        assert_eq!(refused("1999-12-31", "2026-05-01"), Some("from"));
        assert_eq!(refused("2026-05-01", "+10000-01-01"), Some("to"));
        assert!(check_span(NaiveDate::MIN, NaiveDate::MAX).is_err());
    }
}
