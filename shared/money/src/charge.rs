//! What the LLM gateway charges: exact, finer than cents.

use std::{borrow::Cow, fmt, str::FromStr};

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    Cents, TooLarge,
    decimal::{self, InvalidDecimal},
};

/// An exact amount in whole units of its currency (dollars, not cents), not negative. On the wire a decimal string and
/// nothing else: a JSON number for money has been a float somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Charge(Decimal);

impl Charge {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);
    /// Digits before the point: of a sum. A single charge is bounded more tightly by whoever takes it.
    pub const WHOLE_DIGITS_MAX: usize = 16;
    /// Digits behind the point.
    pub const FRACTION_DIGITS_MAX: usize = 12;

    /// A decimal as a charge; `None` when it is negative.
    pub fn new(value: Decimal) -> Option<Self> {
        (value.is_zero() || value.is_sign_positive()).then(|| Self(value.normalize()))
    }

    /// The decimal.
    pub const fn get(self) -> Decimal {
        self.0
    }

    /// To the cent, half up; of a sum, once.
    pub fn to_cents(self) -> Result<Cents, TooLarge> {
        Cents::round(self.0.checked_mul(Decimal::ONE_HUNDRED).ok_or(TooLarge)?)
    }
}

impl fmt::Display for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.normalize(), f)
    }
}

impl FromStr for Charge {
    type Err = InvalidDecimal;

    fn from_str(text: &str) -> Result<Self, InvalidDecimal> {
        decimal::parse(text, Self::WHOLE_DIGITS_MAX, Self::FRACTION_DIGITS_MAX)
            .map(|value| Self(value.normalize()))
    }
}

impl Serialize for Charge {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Charge;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("money as a decimal string such as \"0.0125\", not a JSON number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Charge, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Charge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Visitor)
    }
}

impl JsonSchema for Charge {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Charge".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^(0|[1-9][0-9]{0,15})(\\.[0-9]{1,12})?$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_is_a_string_and_rounds_half_up_once() {
        for (json, cents) in [("\"0.005\"", 1), ("\"0.0049999\"", 0), ("\"12.345\"", 1235), ("\"0\"", 0)] {
            assert_eq!(
                serde_json::from_str::<Charge>(json).unwrap().to_cents().unwrap(),
                Cents::new(cents),
                "{json}"
            );
        }
        for bad in ["0.1", "1", "\"1e2\"", "\"-0.1\"", "\"0.1234567890123\"", "\"$1\""] {
            assert!(serde_json::from_str::<Charge>(bad).is_err(), "{bad} was taken");
        }
    }
}
