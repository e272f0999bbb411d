//! What a resource counts for in a period: which of its states, which billing kind, how much of it.

use chrono::{DateTime, Datelike, Months, NaiveDate, TimeDelta, Utc};
use contracts::meterer::Granularity;
use money::Decimal;

/// Digits behind the point of a share.
const SHARE_PLACES: u32 = 12;
/// Hours of a day; UTC has no others.
const HOURS_OF_DAY: u32 = 24;

/// What of a resource is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The hours it was active.
    ActiveHours,
    /// Its size, for the period's share of the month.
    GigabyteMonths,
    /// That it was there, for the period's share of the month.
    Months,
}

impl Measure {
    /// The measure as the metering statement knows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ActiveHours => "active_hours",
            Self::GigabyteMonths => "gigabyte_months",
            Self::Months => "months",
        }
    }
}

/// How a kind of resource is metered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meter {
    /// The kind of resource.
    pub resource_kind: &'static str,
    /// What its usage is priced by.
    pub billing_kind: &'static str,
    /// What of it is counted.
    pub measure: Measure,
}

/// Every kind that is metered; what is not here counts for nothing.
pub fn meters() -> [Meter; 5] {
    const fn meter(resource_kind: &'static str, billing_kind: &'static str, measure: Measure) -> Meter {
        Meter { resource_kind, billing_kind, measure }
    }
    [
        meter("droplet", "droplet_hours", Measure::ActiveHours),
        meter("spaces_bucket", "spaces_gb_month", Measure::GigabyteMonths),
        meter("snapshot", "snapshot_gb_month", Measure::GigabyteMonths),
        meter("droplet_backup", "droplet_backup_gb_month", Measure::GigabyteMonths),
        meter("dns_zone", "dns_zones", Measure::Months),
    ]
}

/// A day, or an hour of it, that makes one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Which it is.
    pub granularity: Granularity,
    /// Its first instant.
    pub start: DateTime<Utc>,
    /// The first instant after it.
    pub end: DateTime<Utc>,
    /// Its hours.
    pub hours: Decimal,
    /// Its part of the month.
    pub share: Decimal,
}

/// The periods that a day is made of: the day itself, or its hours; none for a day at the end of time.
pub fn periods(day: NaiveDate, granularity: Granularity) -> Vec<Period> {
    let Some(days) = days_of_month(day) else { return Vec::new() };
    let midnight = day.and_time(chrono::NaiveTime::MIN).and_utc();
    let period = |first_hour: u32, hours: u32, share| {
        let start = midnight + TimeDelta::hours(i64::from(first_hour));
        let end = start + TimeDelta::hours(i64::from(hours));
        Period { granularity, start, end, hours: Decimal::from(hours), share }
    };
    match granularity {
        Granularity::Daily => vec![period(0, HOURS_OF_DAY, share(day.day(), days))],
        Granularity::Hourly => (0..HOURS_OF_DAY)
            .map(|hour| {
                let so_far = day.day0() * HOURS_OF_DAY + hour + 1;
                period(hour, 1, share(so_far, days * HOURS_OF_DAY))
            })
            .collect(),
    }
}

fn days_of_month(day: NaiveDate) -> Option<u32> {
    let first = day.with_day(1)?;
    let next = first.checked_add_months(Months::new(1))?;
    u32::try_from((next - first).num_days()).ok()
}

/// The share of the `part`th of `whole` equal parts: round(part ÷ whole) − round((part − 1) ÷ whole), so that all of
/// them sum to exactly one.
pub fn share(part: u32, whole: u32) -> Decimal {
    rounded(part, whole) - rounded(part.saturating_sub(1), whole)
}

/// `part ÷ whole` to twelve places, half up; integers, so that it is rounded once.
fn rounded(part: u32, whole: u32) -> Decimal {
    let (part, whole) = (i128::from(part), i128::from(whole));
    let scaled = (2 * part * 10_i128.pow(SHARE_PLACES) + whole) / (2 * whole);
    Decimal::from_i128_with_scale(scaled, SHARE_PLACES)
}

/// What a resource of this status and size counts for in a period; `None`: its size would have to be known. Exact: a
/// size has at most 15 digits and a share 12.
pub fn quantity(measure: Measure, status: &str, size: Option<Decimal>, period: &Period) -> Option<Decimal> {
    match measure {
        Measure::ActiveHours if status == "active" => Some(period.hours),
        Measure::ActiveHours => Some(Decimal::ZERO),
        Measure::GigabyteMonths => size.map(|size| size * period.share),
        Measure::Months => Some(period.share),
    }
}

/// A state of a resource, as far as it decides which one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Which of the resource's states.
    pub version: i64,
    /// When it began.
    pub from_at: DateTime<Utc>,
    /// Whether the resource is deleted in it.
    pub deleted: bool,
}

/// The state that counts for a period: the one in force at its end or, when the resource was deleted during the period,
/// the last before that, as it was used until then. `None`: not there yet, or no longer.
pub fn in_force(history: &[State], period: &Period) -> Option<State> {
    let begun = |state: &&State| state.from_at < period.end;
    let deleted_during = |state: &State| state.deleted && state.from_at >= period.start;
    let last = history
        .iter()
        .filter(begun)
        .filter(|state| !deleted_during(state))
        .max_by_key(|state| state.version)?;
    (!last.deleted).then_some(*last)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::{Expect, expect};

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_month_sums_to_exactly_one_by_days_and_by_hours() {
        // A leap February, a plain one, and both other lengths.
        for first in ["2028-02-01", "2026-02-01", "2026-04-01", "2026-05-01"] {
            let days: Vec<NaiveDate> =
                day(first).iter_days().take_while(|d| d.month() == day(first).month()).collect();
            for granularity in [Granularity::Daily, Granularity::Hourly] {
                let periods: Vec<Period> = days.iter().flat_map(|day| periods(*day, granularity)).collect();
                let sum = |of: fn(&Period) -> Decimal| periods.iter().map(of).sum::<Decimal>();
                assert_eq!(sum(|p| p.share), Decimal::ONE, "{first} {granularity}");
                assert_eq!(sum(|p| p.hours), Decimal::from(days.len() * 24), "{first} {granularity}");
                assert!(periods.windows(2).all(|pair| pair[0].end == pair[1].start), "{first} {granularity}");
                assert!(periods.iter().all(|p| p.share > Decimal::ZERO && p.share.scale() == 12));
            }
        }
    }

    #[test]
    fn a_share_is_rounded_half_up_at_twelve_places() {
        for (part, whole, expected) in [
            (1, 31, "0.032258064516"),
            (2, 31, "0.032258064516"),
            (3, 31, "0.032258064516"),
            (4, 31, "0.032258064517"),
            (1, 1, "1.000000000000"),
            (15, 30, "0.033333333333"),
        ] {
            assert_eq!(share(part, whole).to_string(), expected, "{part} of {whole}");
        }
    }

    #[test]
    fn a_kind_counts_by_its_own_measure() {
        let whole_day = periods(day("2026-05-10"), Granularity::Daily)[0];
        let hour = periods(day("2026-05-10"), Granularity::Hourly)[0];
        let gigabytes = Some(Decimal::from(48));
        let quantity = |measure, status, size, period| {
            quantity(measure, status, size, period).map_or("unknown".to_owned(), |qty| qty.to_string())
        };
        assert_eq!(quantity(Measure::ActiveHours, "active", None, &whole_day), "24");
        assert_eq!(quantity(Measure::ActiveHours, "active", None, &hour), "1");
        assert_eq!(quantity(Measure::ActiveHours, "off", None, &whole_day), "0");
        assert_eq!(quantity(Measure::GigabyteMonths, "available", gigabytes, &whole_day), "1.548387096768");
        assert_eq!(quantity(Measure::GigabyteMonths, "available", None, &whole_day), "unknown");
        assert_eq!(quantity(Measure::Months, "active", None, &whole_day), "0.032258064516");
    }

    #[test]
    fn the_largest_size_times_a_share_is_exact() {
        let size: Decimal = "999999999.999999".parse().unwrap();
        for day in day("2026-05-01").iter_days().take(31) {
            let period = periods(day, Granularity::Daily)[0];
            let exact = size.mantissa() * period.share.mantissa();
            let quantity = quantity(Measure::GigabyteMonths, "", Some(size), &period).unwrap();
            assert_eq!((quantity.mantissa(), quantity.scale()), (exact, 18), "{day}");
        }
    }

    /// Versions in their order, as `hh:mm` on the tenth, or before, or after; `-` deletes.
    fn check(what: &str, history: &[&str], expected: Expect) {
        let states: Vec<State> = (1..)
            .zip(history)
            .map(|(version, text)| {
                let (deleted, time) = text.strip_prefix('-').map_or((false, *text), |time| (true, time));
                State { version, from_at: time.parse().unwrap(), deleted }
            })
            .collect();
        let whole_day = periods(day("2026-05-10"), Granularity::Daily);
        let hours = periods(day("2026-05-10"), Granularity::Hourly);
        let shown = |period| in_force(&states, period).map_or("-".to_owned(), |s| s.version.to_string());
        let mut line = format!("{what}: day {}, hours ", shown(&whole_day[0]));
        for hour in &hours {
            write!(line, "{}", shown(hour)).unwrap();
        }
        expected.assert_eq(&line);
    }

    #[test]
    fn the_state_at_the_end_counts_or_the_last_before_a_deletion() {
        let (before, early, noon, late, after) = (
            "2026-05-09T23:59:59.999999Z",
            "2026-05-10T03:00:00Z",
            "2026-05-10T12:30:00Z",
            "2026-05-10T20:10:00Z",
            "2026-05-11T00:00:00Z",
        );
        let gone = |time: &str| format!("-{time}");
        check("always there", &[before], expect!["always there: day 1, hours 111111111111111111111111"]);
        check("found at noon", &[noon], expect!["found at noon: day 1, hours ------------111111111111"]);
        check(
            "found the day after",
            &[after],
            expect!["found the day after: day -, hours ------------------------"],
        );
        check("changed", &[before, noon], expect!["changed: day 2, hours 111111111111222222222222"]);
        check(
            "changed the day after",
            &[before, after],
            expect!["changed the day after: day 1, hours 111111111111111111111111"],
        );
        check("deleted", &[before, &gone(noon)], expect!["deleted: day 1, hours 1111111111111-----------"]);
        check(
            "deleted the day before",
            &[before, &gone(before)],
            expect!["deleted the day before: day -, hours ------------------------"],
        );
        check(
            "deleted, then tagged",
            &[before, &gone(noon), &gone(late)],
            expect!["deleted, then tagged: day 1, hours 1111111111111-----------"],
        );
        check(
            "deleted before, tagged today",
            &[before, &gone(before), &gone(noon)],
            expect!["deleted before, tagged today: day -, hours ------------------------"],
        );
        check(
            "deleted and restored",
            &[before, &gone(early), noon],
            expect!["deleted and restored: day 3, hours 1111--------333333333333"],
        );
        check(
            "restored and deleted",
            &[before, &gone(before), early, &gone(late)],
            expect!["restored and deleted: day 3, hours ---333333333333333333---"],
        );
        check(
            "a clock that was set back",
            &[late, noon],
            expect!["a clock that was set back: day 2, hours ------------222222222222"],
        );
    }

    #[test]
    fn the_end_of_time_has_no_periods() {
        assert_eq!(periods(NaiveDate::MAX, Granularity::Hourly), []);
    }
}
