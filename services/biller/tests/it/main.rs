//! Biller on a real Postgres and a real nats-server.

mod advancing;
mod catalog;
mod deployments;
mod quotes;
mod resource_ref;
mod shop;
