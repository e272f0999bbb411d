//! Days, in one spelling.

use std::{borrow::Cow, str::FromStr};

use chrono::{Datelike, NaiveDate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A day of the years 2000 to 2099, as this API writes it: `2026-11-24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date(pub NaiveDate);

/// The text is no such day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a day of the years 2000 to 2099, such as 2026-11-24")]
pub struct InvalidDate;

impl FromStr for Date {
    type Err = InvalidDate;

    fn from_str(text: &str) -> Result<Self, InvalidDate> {
        // The library also takes spaces, signs, one-digit months and years of any length.
        let mut bytes = text.bytes().enumerate();
        let shape = text.len() == 10
            && bytes.all(|(index, byte)| match index {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        let date = shape.then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()).flatten();
        date.filter(|date| (2000..2100).contains(&date.year())).map(Self).ok_or(InvalidDate)
    }
}

impl TryFrom<String> for Date {
    type Error = InvalidDate;

    fn try_from(text: String) -> Result<Self, InvalidDate> {
        text.parse()
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.0.to_string()
    }
}

impl JsonSchema for Date {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Date".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_one_spelling() {
        for good in ["2000-01-01", "2026-11-24", "2028-02-29", "2099-12-31"] {
            assert_eq!(good.parse::<Date>().map(String::from), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "2026-02-30",
            "2026-13-01",
            "2026-00-01",
            "2026-2-3",
            " 2026-02-03",
            "2026-02-03 ",
            "2026-02- 3",
            "0000-01-01",
            "-001-01-01",
            "-0001-01-01",
            "+262142-01-01",
            "1999-12-31",
            "2101-01-01",
            "9999-01-01",
            "99999-01-01",
            "2027-02-29",
            "2026-11-24T00:00:00Z",
            "2026-11",
            "20261124",
            "2026/11/24",
            "24-11-2026",
            "1795526400",
            "infinity",
            "today",
            "now",
            "2026-1١-24",
            "２026-11-2",
        ] {
            assert_eq!(bad.parse::<Date>(), Err(InvalidDate), "{bad} was taken");
        }
        assert!(serde_json::from_str::<Date>("20261124").is_err(), "a number was taken for a day");
    }
}
