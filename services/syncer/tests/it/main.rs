//! Syncer on a real Postgres and the simulator of the provider.

mod commands;
mod history;
mod lab;
mod links;
mod listings;
mod membership;
mod projects;
mod queries;
