//! What syncer decides, as pure functions over values: what counts as a change, whose a resource is, when it is
//! gone, and when a listing is not to be believed.

pub mod absence;
pub mod attribution;
pub mod change;
pub mod cursor;
pub mod link;
pub mod listing;
pub mod observation;
pub mod project;
pub mod reconcile;
