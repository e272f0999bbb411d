//! What biller announces, and what one may ask of it: the catalog, deployments and their subscriptions, quotes.

pub mod catalog;
pub mod deployment;
pub mod quote;

pub use catalog::*;
pub use deployment::*;
pub use quote::*;
