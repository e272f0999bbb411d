//! `plans`, `plan_versions`, `plan_items`, `addons`, `resource_prices`: what is sold. Rows are never removed, and
//! of what was offered only the status changes.

pub mod addon;
pub mod plan;
pub mod price;
pub mod version;

pub use addon::addons;
pub use version::{active_version, version};

use contracts::{biller::Unit, ids::InvalidId};
use money::{Currency, Decimal, Quantity};

/// A stored value is none that we ever store.
#[derive(Debug, thiserror::Error)]
#[error("a row holds a value that its type does not allow: {column}")]
struct Corrupt {
    column: &'static str,
}

pub(super) fn corrupt(column: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(Corrupt { column }))
}

pub(super) fn parsed<T: TryFrom<String, Error = InvalidId>>(
    text: String,
    column: &'static str,
) -> Result<T, sqlx::Error> {
    T::try_from(text).map_err(|_| corrupt(column))
}

pub(super) fn quantity(value: Decimal, column: &'static str) -> Result<Quantity, sqlx::Error> {
    Quantity::new(value).ok_or_else(|| corrupt(column))
}

pub(super) fn currency(text: &str) -> Result<Currency, sqlx::Error> {
    text.parse().map_err(|_| corrupt("currency"))
}

fn unit(text: &str, column: &'static str) -> Result<Unit, sqlx::Error> {
    Unit::ALL.into_iter().find(|unit| unit.as_str() == text).ok_or_else(|| corrupt(column))
}
