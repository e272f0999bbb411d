//! Exact money and quantities: integer cents, decimals, one rounding rule, proration. No floats.
//!
//! Not for prices or plans: what something costs is biller's to decide.

mod cents;
mod charge;
mod currency;
mod decimal;
mod quantity;
mod share;

pub use cents::Cents;
pub use charge::Charge;
pub use currency::{Currency, InvalidCurrency};
pub use decimal::InvalidDecimal;
pub use quantity::Quantity;
pub use rust_decimal::Decimal;
pub use share::{InvalidShare, Share};

/// An amount does not fit: it is larger than any invoice could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an amount is too large")]
pub struct TooLarge;
