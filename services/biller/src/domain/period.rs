//! The period that is charged at once: a calendar month.

use chrono::{Datelike, Months, NaiveDate};

/// A calendar month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    first: NaiveDate,
}

impl Month {
    /// The month that a day is in.
    pub fn of(day: NaiveDate) -> Self {
        Self { first: day.with_day(1).expect("every month has a first day") }
    }

    /// Its first day.
    pub const fn first(self) -> NaiveDate {
        self.first
    }

    /// The first day after it.
    pub fn end(self) -> NaiveDate {
        self.first + Months::new(1)
    }

    /// The month after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self { first: self.end() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_begins_on_its_first_day_and_ends_where_the_next_begins() {
        for (day, first, end) in [
            ("2026-05-20", "2026-05-01", "2026-06-01"),
            ("2026-05-01", "2026-05-01", "2026-06-01"),
            ("2026-05-31", "2026-05-01", "2026-06-01"),
            ("2026-12-31", "2026-12-01", "2027-01-01"),
            ("2028-02-29", "2028-02-01", "2028-03-01"),
        ] {
            let month = Month::of(day.parse().unwrap());
            assert_eq!((month.first(), month.end()), (first.parse().unwrap(), end.parse().unwrap()), "{day}");
            assert_eq!(month.next().first(), month.end());
        }
    }
}
