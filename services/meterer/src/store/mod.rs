//! The schema `meterer`, one file per table.

pub mod attributed_resource;
