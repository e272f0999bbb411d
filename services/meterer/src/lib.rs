//! Usage. So far it follows the inventory, so that it knows what there is to meter and whose it is.

pub mod config;
pub mod domain;
pub mod handlers;
pub mod store;

/// What handlers need; nothing yet.
#[derive(Debug, Clone, Copy)]
pub struct Meterer;
