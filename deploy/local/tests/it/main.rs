//! The development machine on real servers.

mod install;
mod migrate;
mod nats;
mod postgres;
