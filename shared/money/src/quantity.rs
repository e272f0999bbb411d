//! How much of something: hours, gigabytes, tokens.

use std::{borrow::Cow, fmt, str::FromStr};

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::decimal::{self, InvalidDecimal};

/// An exact quantity, not negative. On the wire a decimal string; a whole number is taken as a JSON integer too, and
/// a JSON number with a fraction never is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quantity(Decimal);

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);
    /// Digits before the point.
    pub const WHOLE_DIGITS_MAX: usize = 15;
    /// Digits behind the point of a quantity that somebody writes; metered ones may have more.
    pub const FRACTION_DIGITS_MAX: usize = 12;

    /// A decimal as a quantity; `None` when it is negative.
    pub fn new(value: Decimal) -> Option<Self> {
        (value.is_zero() || value.is_sign_positive()).then(|| Self(value.normalize()))
    }

    /// The decimal.
    pub const fn get(self) -> Decimal {
        self.0
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// What is left after `other` is taken, not below nothing.
    #[must_use]
    pub fn beyond(self, other: Self) -> Self {
        Self((self.0 - other.0).max(Decimal::ZERO).normalize())
    }

    /// The sum; `None` when it has more digits than can be kept exactly.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let sum = self.0.checked_add(other.0)?;
        // The library rounds what it cannot hold: then the difference is not what was added.
        (sum.checked_sub(other.0)? == self.0).then(|| Self(sum.normalize()))
    }
}

impl From<u64> for Quantity {
    fn from(value: u64) -> Self {
        Self(Decimal::from(value))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.normalize(), f)
    }
}

impl FromStr for Quantity {
    type Err = InvalidDecimal;

    fn from_str(text: &str) -> Result<Self, InvalidDecimal> {
        decimal::parse(text, Self::WHOLE_DIGITS_MAX, Self::FRACTION_DIGITS_MAX)
            .map(|value| Self(value.normalize()))
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Digits before and behind the point of a quantity on the wire.
const SUM_DIGITS_MAX: usize = 18;

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Quantity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a quantity: a decimal string such as \"12.5\", or a whole number that is not negative")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
        // Sums and metered quantities have more digits than what somebody writes.
        decimal::parse(text, SUM_DIGITS_MAX, SUM_DIGITS_MAX)
            .map(|value| Quantity(value.normalize()))
            .map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Quantity, E> {
        if value < 10_u64.pow(18) {
            Ok(Quantity::from(value))
        } else {
            Err(E::custom("a quantity has at most 18 digits before the point"))
        }
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "integer"],
            "pattern": "^(0|[1-9][0-9]{0,17})(\\.[0-9]{1,18})?$",
            "minimum": 0,
            "maximum": 999_999_999_999_999_999_u64
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_has_one_spelling_and_no_float() {
        for (json, text) in [
            ("\"0\"", "0"),
            ("\"-0.00\"", "0"),
            ("\"12.50\"", "12.5"),
            ("500000", "500000"),
            ("\"999999999999999.123456789012\"", "999999999999999.123456789012"),
        ] {
            assert_eq!(serde_json::from_str::<Quantity>(json).unwrap().to_string(), text, "{json}");
        }
        for bad in [
            "1.5",
            "-1",
            "1e3",
            "true",
            "null",
            "[]",
            "\"\"",
            "\"1e2\"",
            "\"1_000\"",
            "\".5\"",
            "\"1.\"",
            "\"+1\"",
            "\" 1\"",
            "\"NaN\"",
            "\"-1\"",
            "\"01\"",
            "\"1,5\"",
            "\"0x10\"",
            "\"1000000000000000000\"",
            "1000000000000000000",
            "\"0.1234567890123456789\"",
            "\"١٢\"",
        ] {
            assert!(serde_json::from_str::<Quantity>(bad).is_err(), "{bad} was taken");
        }
        assert!("0.1234567890123".parse::<Quantity>().is_err(), "thirteen places");
    }

    #[test]
    fn what_is_beyond_an_allowance_is_never_negative() {
        let quantity = |text: &str| text.parse::<Quantity>().unwrap();
        assert_eq!(quantity("5").beyond(quantity("3.5")), quantity("1.5"));
        assert_eq!(quantity("3").beyond(quantity("5")), Quantity::ZERO);
    }
}
