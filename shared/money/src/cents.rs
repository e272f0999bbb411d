//! Money that stands on an invoice.

use std::{borrow::Cow, fmt, iter::Sum};

use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Share, TooLarge};

/// An amount in hundredths of its currency's unit; an integer on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cents(i64);

impl Cents {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many cents.
    pub const fn new(cents: i64) -> Self {
        Self(cents)
    }

    /// The integer.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// A decimal number of cents to the cent: half up, away from zero for a credit, so that a reversal nets to zero.
    pub fn round(cents: Decimal) -> Result<Self, TooLarge> {
        let rounded = cents.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
        rounded.to_i64().map(Self).ok_or(TooLarge)
    }

    /// A share of the amount, to the cent, half up. Exact: integers until the one rounding.
    #[must_use]
    pub fn prorated(self, share: Share) -> Self {
        let (part, whole) = (i128::from(share.days()), i128::from(share.of()));
        let doubled = i128::from(self.0) * part * 2;
        let rounded =
            if doubled >= 0 { (doubled + whole) / (whole * 2) } else { (doubled - whole) / (whole * 2) };
        Self(i64::try_from(rounded).expect("a share is no larger than the whole"))
    }

    /// The sum, unless it is too large.
    pub fn checked_add(self, other: Self) -> Result<Self, TooLarge> {
        self.0.checked_add(other.0).map(Self).ok_or(TooLarge)
    }

    /// The sum of all, unless it is too large.
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Result<Self, TooLarge> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

/// For tests and totals that were checked before; panics where an amount would not fit.
impl Sum for Cents {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self::checked_sum(amounts).expect("amounts were checked before they were added")
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let cents = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", cents / 100, cents % 100)
    }
}

impl JsonSchema for Cents {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Cents".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "format": "int64" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn share(days: u32, of: u32) -> Share {
        Share::new(days, of).unwrap()
    }

    #[test]
    fn proration_rounds_half_up_and_exactly() {
        for (cents, days, of, expected) in [
            (5000, 12, 31, 1935),
            (750, 12, 31, 290),
            (42, 17, 28, 26), // 25.5: a float rounds it down.
            (1, 1, 2, 1),
            (-1, 1, 2, -1),
            (5000, 0, 30, 0),
            (5000, 30, 30, 5000),
        ] {
            assert_eq!(
                Cents::new(cents).prorated(share(days, of)),
                Cents::new(expected),
                "{cents} × {days}/{of}"
            );
        }
    }

    #[test]
    fn cents_read_as_money() {
        for (cents, text) in [(0, "0.00"), (5, "0.05"), (-5, "-0.05"), (7064, "70.64")] {
            assert_eq!(Cents::new(cents).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn two_parts_of_a_month_differ_from_the_whole_by_at_most_a_cent(
            cents in 0_i64..100_000_000, of in 28_u32..=31, days in 0_u32..=31,
        ) {
            let days = days.min(of);
            let whole = Cents::new(cents);
            let parts = whole.prorated(share(days, of)).get() + whole.prorated(share(of - days, of)).get();
            prop_assert!((parts - cents).abs() <= 1);
            prop_assert_eq!(whole.prorated(share(of, of)), whole);
        }
    }
}
