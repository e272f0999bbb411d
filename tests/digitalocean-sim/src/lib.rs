//! An honest simulator of the DigitalOcean API: it has state, its answers fit the published schema, and
//! it misbehaves only when told to. It is the truth that tests compare with.
//!
//! The API port speaks as the provider does; the control port seeds, inspects and breaks it.

pub mod answer;
mod build;
mod call;
mod clock;
mod control;
mod defaults;
mod delivery;
mod demo;
mod faults;
mod ids;
mod invoices;
mod kind;
mod lifecycle;
mod limits;
mod log;
mod membership;
mod options;
mod paging;
mod reference;
mod rejected;
mod render;
mod routes;
mod seed;
mod server;
mod state;
mod table;
mod world;

pub use options::Options;
pub use rejected::Rejected;
pub use routes::OPERATIONS;
pub use server::{Simulator, StartError};
