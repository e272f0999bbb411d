//! A simulator of skyai-finance: it takes invoices of the cloud and of tenants, once each.
//!
//! It stands in for the ledger only as far as the integration goes; it books nothing.

mod auth;
mod control;
mod intake;
mod invoice;
mod options;
mod server;
mod world;

pub use options::Options;
pub use server::{Simulator, StartError};
