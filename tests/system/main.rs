//! Stories on real processes: what a user of the whole system sees.

mod authorization;
mod doors;
mod gateway;
mod inventory;
mod offer;
mod provider;
mod schedules;
mod story;
