//! The development machine: installs, starts, migrates and supervises everything that runs beside the services.
//!
//! `cargo up` and the tests start their Postgres and nats-server through the same code. This crate is not for
//! deployments: what it writes is meant for one developer on one machine.

pub mod commands;
pub mod console;
pub mod environment;
pub mod gateway;
pub mod install;
pub mod migrate;
pub mod nats;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod seed;
pub mod sources;
pub mod state;
pub mod token;
pub mod up;
pub mod usage;
