//! The schema `biller`, one file per table.

pub mod resource_ref;
