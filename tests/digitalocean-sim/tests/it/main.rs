//! The simulator seen from outside: against the published schema, and against what is known of the real
//! service.

mod billing;
mod contract;
mod control;
mod dns;
mod droplets;
mod faults;
mod harness;
mod limits;
mod paging;
mod projects;
mod schema;
