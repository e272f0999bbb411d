//! The door: HTTP and server-sent events in front of the services.
//!
//! Verifies the token, turns the request into one typed message, hands the answer on. It owns no table and
//! opens no database, and it decides nothing about the business: what it may refuse is what is malformed, not
//! signed, or not the caller's. Read [`operations`] first: it is everything that can be asked.

pub mod auth;
pub mod clock;
pub mod config;
pub mod edge;
pub mod events;
pub mod gateway;
pub mod input;
pub mod openapi;
pub mod operation;
pub mod operations;
pub mod problem;
pub mod reply;
pub mod rotation;
pub mod router;
pub mod server;

mod page;
mod routes;
