//! The commands of `cargo arcadia` besides `up` and `down`, a file each.

pub mod check_all;
pub mod inventory;
pub mod parked;
pub mod republish;
pub mod sqlx_data;
pub mod status;
pub mod tail;
pub mod token;
pub mod usage;
