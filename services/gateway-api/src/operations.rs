//! Everything that can be asked of this gateway. The router and the document are both made from this table, so
//! neither can know an operation that the other does not.

mod about;
mod catalog;
mod deployments;
mod inventory;
mod messages;
mod usage;

use std::sync::LazyLock;

use crate::operation::Operation;

/// Where the document is served.
pub const OPENAPI_PATH: &str = "/api/v1/openapi.json";

static TABLE: LazyLock<Vec<Operation>> = LazyLock::new(table);

/// The table.
pub fn operations() -> &'static [Operation] {
    &TABLE
}

fn table() -> Vec<Operation> {
    [
        about::operations(),
        inventory::operations(),
        catalog::operations(),
        deployments::operations(),
        usage::operations(),
        messages::operations(),
    ]
    .concat()
}
