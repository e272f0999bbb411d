//! The parameters `from` and `to`: days, the second one not counted.

use chrono::{Datelike, Days, Months, NaiveDate};
use contracts::Problem;

use super::{Date, Parameters};
use crate::problem::Failure;

/// Most days of a period.
const DAYS_MAX: u64 = 400;

/// Days from `from` on and before `to`; at least one, at most 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// First day.
    pub from: NaiveDate,
    /// First day that does not count.
    pub to: NaiveDate,
}

impl Period {
    /// What `from` and `to` say; what they leave out is the beginning and the end of the month of `today`.
    pub fn of(parameters: &Parameters, today: NaiveDate) -> Result<Self, Failure> {
        let month = today.with_day(1).expect("every month has a first day");
        let next = month.checked_add_months(Months::new(1)).expect("the clock is not at the end of time");
        let from = parameters.optional("from")?.map_or(month, |Date(from)| from);
        let to = parameters.optional("to")?.map_or(next, |Date(to)| to);
        if from >= to {
            return Err(
                Problem::unprocessable("to", format!("must be later than from, which is {from}")).into()
            );
        }
        if from.checked_add_days(Days::new(DAYS_MAX)).is_none_or(|last| to > last) {
            return Err(
                Problem::unprocessable("to", format!("must be at most {DAYS_MAX} days after from")).into()
            );
        }
        Ok(Self { from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(query: &str, today: &str) -> String {
        let parameters = Parameters::parse(query, |_| true).unwrap();
        match Period::of(&parameters, today.parse().unwrap()) {
            Ok(Period { from, to }) => format!("{from} {to}"),
            Err(failure) => failure.problem().errors[0].field.clone(),
        }
    }

    #[test]
    fn a_period_is_half_open_and_this_month_when_nothing_is_said() {
        for (query, today, expected) in [
            ("", "2026-11-24", "2026-11-01 2026-12-01"),
            ("", "2026-12-31", "2026-12-01 2027-01-01"),
            ("from=2026-11-20", "2026-11-24", "2026-11-20 2026-12-01"),
            ("to=2026-11-02", "2026-11-24", "2026-11-01 2026-11-02"),
            ("from=2026-01-01&to=2027-02-05", "2026-11-24", "2026-01-01 2027-02-05"),
            ("from=2026-01-01&to=2027-02-06", "2026-11-24", "to"),
            ("from=2026-11-02&to=2026-11-02", "2026-11-24", "to"),
            ("from=2026-11-02&to=2026-11-01", "2026-11-24", "to"),
            ("from=2026-12-01", "2026-11-24", "to"),
            ("from=2026-02-30", "2026-11-24", "from"),
            ("from=", "2026-11-24", "from"),
            ("to=tomorrow", "2026-11-24", "to"),
        ] {
            assert_eq!(period(query, today), expected, "{query} on {today}");
        }
    }
}
