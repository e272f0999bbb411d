//! The schema `biller`, one file per table.

pub mod catalog;
pub mod deployment;
pub mod resource_ref;

use chrono::{DateTime, SubsecRound, Utc};

/// As precise as Postgres keeps it, so that an event says the same time as the row.
pub fn storable(now: DateTime<Utc>) -> DateTime<Utc> {
    now.trunc_subsecs(6)
}
