//! The one place that asks what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{NaiveDate, Utc};

/// Whole seconds since 1970, as tokens count them.
pub fn unix_seconds() -> u64 {
    // A clock before 1970 makes every token invalid, which is the safe answer.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// The day in UTC.
pub fn today() -> NaiveDate {
    Utc::now().date_naive()
}
