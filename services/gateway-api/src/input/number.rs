//! Numbers, within bounds and never by way of a float.

use std::borrow::Cow;

use money::{Cents, Quantity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

/// A whole number from `MIN` to `MAX`, as a JSON integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Whole<const MIN: i64, const MAX: i64>(i64);

/// The number is out of its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number from {min} to {max}")]
pub struct OutOfBounds {
    min: i64,
    max: i64,
}

impl<const MIN: i64, const MAX: i64> Whole<MIN, MAX> {
    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl<const MIN: i64, const MAX: i64> TryFrom<i64> for Whole<MIN, MAX> {
    type Error = OutOfBounds;

    fn try_from(number: i64) -> Result<Self, OutOfBounds> {
        if (MIN..=MAX).contains(&number) { Ok(Self(number)) } else { Err(OutOfBounds { min: MIN, max: MAX }) }
    }
}

impl<const MIN: i64, const MAX: i64> From<Whole<MIN, MAX>> for i64 {
    fn from(number: Whole<MIN, MAX>) -> Self {
        number.0
    }
}

impl<const MIN: i64, const MAX: i64> JsonSchema for Whole<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Whole{MIN}To{MAX}").into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// A price in cents that somebody sets: not negative, and at most a billion of the currency's units, so that sums of
/// what it is multiplied by stay far from what 64 bits hold.
pub type Price = Whole<0, 100_000_000_000>;

impl From<Price> for Cents {
    fn from(price: Price) -> Self {
        Self::new(price.get())
    }
}

/// A quantity that somebody writes: at most twelve digits behind the point, where metered ones may have more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Quantity")]
pub struct WrittenQuantity(Quantity);

/// The quantity is written too finely, or is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must have at most {} digits before and {} behind the point",
    Quantity::WHOLE_DIGITS_MAX,
    Quantity::FRACTION_DIGITS_MAX
)]
pub struct TooFine;

impl TryFrom<Quantity> for WrittenQuantity {
    type Error = TooFine;

    fn try_from(quantity: Quantity) -> Result<Self, TooFine> {
        // The text is gone, but a quantity is kept without zeros at its end.
        let digits = usize::try_from(quantity.get().scale()).map_err(|_| TooFine)?;
        let small = quantity < Quantity::from(10_u64.pow(15));
        if digits <= Quantity::FRACTION_DIGITS_MAX && small { Ok(Self(quantity)) } else { Err(TooFine) }
    }
}

impl From<WrittenQuantity> for Quantity {
    fn from(written: WrittenQuantity) -> Self {
        written.0
    }
}

impl Serialize for WrittenQuantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl JsonSchema for WrittenQuantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "WrittenQuantity".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "integer"],
            "pattern": "^(0|[1-9][0-9]{0,14})(\\.[0-9]{1,12})?$",
            "minimum": 0,
            "maximum": 999_999_999_999_999_u64
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_a_whole_number_of_cents_within_bounds() {
        for good in ["0", "1", "100000000000"] {
            assert_eq!(Cents::from(serde_json::from_str::<Price>(good).unwrap()).get().to_string(), good);
        }
        for bad in ["-1", "100000000001", "18446744073709551616", "1.0", "1e2", "\"1\"", "null", "true", "[]"]
        {
            assert!(serde_json::from_str::<Price>(bad).is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn a_quantity_is_written_with_twelve_places_at_most() {
        let read = |json: &str| {
            serde_json::from_str::<WrittenQuantity>(json).map(|written| Quantity::from(written).to_string())
        };
        assert_eq!(read("\"0.123456789012\"").unwrap(), "0.123456789012");
        assert_eq!(read("500000").unwrap(), "500000");
        assert!(read("9007199254740993").is_err(), "sixteen digits before the point");
        for bad in ["\"0.1234567890123\"", "0.5", "1e3", "\"1e3\"", "-1", "\"-1\"", "null"] {
            assert!(read(bad).is_err(), "{bad} was taken");
        }
    }
}
