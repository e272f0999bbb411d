//! From a request to one typed message, and back. One file per thing that is asked about.

pub(crate) mod catalog;
pub(crate) mod classify;
pub(crate) mod deployments;
pub(crate) mod documents;
pub(crate) mod health;
pub(crate) mod inventory;
pub(crate) mod listings;
pub(crate) mod metering;
pub(crate) mod outbox;
pub(crate) mod parked;
pub(crate) mod projects;
pub(crate) mod quote;
pub(crate) mod recorded;
pub(crate) mod usage;

mod tenant;
