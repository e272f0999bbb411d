//! What biller decides, as pure functions over values.

pub mod catalog;
pub mod deployment;
pub mod lifecycle;
pub mod period;
pub mod quote;
pub mod subscription;
