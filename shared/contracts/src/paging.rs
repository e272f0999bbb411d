//! Pages of a listing: a bounded size and an opaque cursor.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Items on a page when the caller does not say.
pub const LIMIT_DEFAULT: u16 = 50;
/// Most items on a page.
pub const LIMIT_MAX: u16 = 200;

/// Which page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PageRequest {
    /// Items on the page, 1 to 200.
    pub limit: u16,
    /// `next_cursor` of the page before; `None` for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { limit: LIMIT_DEFAULT, cursor: None }
    }
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// The items, in the listing's order.
    pub items: Vec<T>,
    /// Asks for the page after this one; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
