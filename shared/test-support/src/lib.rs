//! Real servers for tests: a Postgres, a nats-server, the simulators and our own binaries, started by the test
//! on free ports in temporary folders. Not for anything but tests.
//!
//! Panics rather than returns errors: a test that cannot start its world has failed.

pub mod programs;
pub mod provider;
pub mod tokens;
pub mod waiting;
pub mod world;

pub use provider::Provider;
pub use waiting::{eventually, within};
pub use world::World;
