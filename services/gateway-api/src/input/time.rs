//! Points in time: RFC 3339 in UTC, in one spelling.

use std::str::FromStr;

use chrono::{DateTime, Utc};

/// A time as this API writes it: `2026-11-24T13:20:00Z`, with or without a fraction of the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub DateTime<Utc>);

/// The text is no such time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time in UTC such as 2026-11-24T13:20:00Z")]
pub struct InvalidTime;

impl FromStr for Time {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        // The library also takes spaces, lower case, leap seconds, other offsets and any number of digits.
        let bytes = text.as_bytes();
        let shape = (20..=27).contains(&bytes.len())
            && bytes.ends_with(b"Z")
            && bytes[10] == b'T'
            && bytes[17..19] < b"60"[..]
            && !text.starts_with("0000");
        if !shape {
            return Err(InvalidTime);
        }
        DateTime::parse_from_rfc3339(text).map(|time| Self(time.to_utc())).map_err(|_| InvalidTime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_one_spelling() {
        for good in ["2026-11-24T13:20:00Z", "2028-02-29T00:00:00.123456Z"] {
            assert!(good.parse::<Time>().is_ok(), "{good} was refused");
        }
        for bad in [
            "",
            "now",
            "infinity",
            "2026-11-24",
            "2026-11-24 13:20:00Z",
            "2026-11-24t13:20:00z",
            "2026-11-24T13:20:00",
            "2026-11-24T13:20:00+01:00",
            "2026-02-30T00:00:00Z",
            "2026-02-28T24:00:00Z",
            "2026-11-24T13:20:60Z",
            "2026-2-3T00:00:00.0Z",
            "0000-01-01T00:00:00Z",
            "2026-11-24T13:20:00.1234567890123Z",
            "1795526400",
            " 2026-11-24T13:20:00Z",
        ] {
            assert!(bad.parse::<Time>().is_err(), "{bad} was taken");
        }
    }
}
