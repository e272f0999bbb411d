//! Kills, outages and wiped stores, on real processes: nothing is lost and nothing happens twice.

mod anew;
mod failpoints;
mod outage;
mod usage;
