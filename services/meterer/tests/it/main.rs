//! Meterer on a real Postgres and, where the transport is the point, a real nats-server.

mod lab;
mod llm;
mod metering;
mod mix;
mod questions;
mod resource_states;
mod rules;
mod stream;
mod usage;
