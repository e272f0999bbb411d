//! Costs, catalog and invoices. So far it follows the inventory, so that it knows what a bill's lines may mean.

pub mod config;
pub mod handlers;
pub mod store;

/// What handlers need; nothing yet.
#[derive(Debug, Clone, Copy)]
pub struct Biller;
