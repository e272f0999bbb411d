//! Quantities as whole numbers, so that nothing in between is rounded.
//!
//! The decimal library rounds silently what does not fit into its 96 bits, at sums and products alike. Here a
//! quantity is an integer of 10⁻¹⁸ base units in 128 bits: the largest that can be written (15 digits before the
//! point) leaves room for a hundred thousand of them, and what does not fit is an error.

use money::{Cents, Decimal, Quantity, TooLarge};

/// Digits behind the point: what a quantity on the wire has at most, and a millionth of what somebody writes.
const PLACES: u32 = 18;
/// One base unit.
const ONE: i128 = 10_i128.pow(PLACES);

/// An exact quantity, not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Exact(i128);

impl Exact {
    /// Nothing.
    pub(super) const ZERO: Self = Self(0);

    /// A quantity; `None` when it is finer or larger than can be calculated with.
    pub(super) fn of(quantity: Quantity) -> Option<Self> {
        let value = quantity.get().normalize();
        let finer = PLACES.checked_sub(value.scale())?;
        value.mantissa().checked_mul(10_i128.pow(finer)).map(Self)
    }

    /// The sum.
    pub(super) fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// What is left after `other` is taken, not below nothing.
    pub(super) fn beyond(self, other: Self) -> Self {
        Self((self.0 - other.0).max(0))
    }

    /// In units of `factor` base units; `None` when a decimal cannot hold it exactly.
    pub(super) fn per(self, factor: u32) -> Option<Quantity> {
        let factor = i128::from(factor);
        if self.0 % factor != 0 {
            return None;
        }
        let (mut value, mut scale) = (self.0 / factor, PLACES);
        while scale > 0 && value % 10 == 0 {
            (value, scale) = (value / 10, scale - 1);
        }
        Decimal::try_from_i128_with_scale(value, scale).ok().and_then(Quantity::new)
    }

    /// What it costs at a price of `factor` base units, rounded once, half up.
    pub(super) fn price(self, factor: u32, unit_price: Cents) -> Result<Cents, TooLarge> {
        let (unit, price) = (i128::from(factor) * ONE, i128::from(unit_price.get()));
        // Whole units apart from the rest, as the product of all would not fit.
        let whole = (self.0 / unit).checked_mul(price).ok_or(TooLarge)?;
        let rest = (self.0 % unit).checked_mul(price).ok_or(TooLarge)?;
        // A unit is even, so its half is exact.
        let rounded = rest.checked_add(unit / 2).ok_or(TooLarge)? / unit;
        let cents = whole.checked_add(rounded).ok_or(TooLarge)?;
        i64::try_from(cents).map(Cents::new).map_err(|_| TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(text: &str) -> Quantity {
        // On the wire up to 18 places are taken.
        serde_json::from_str(&format!("\"{text}\"")).unwrap()
    }

    fn exact(text: &str) -> Exact {
        Exact::of(quantity(text)).unwrap()
    }

    #[test]
    fn an_amount_is_rounded_once_half_up() {
        for (used, factor, price, cents) in [
            ("0.5", 1, 1, 1),
            ("0.499999999999999999", 1, 1, 0),
            ("2.5", 1, 1, 3),
            ("0.645161290323", 1, 100, 65),
            ("499", 1_000, 1, 0),
            ("500", 1_000, 1, 1),
            ("1500", 1_000, 1, 2),
            ("999999999999999.999999999999", 1, 0, 0),
            ("0.000000000001", 1_000_000, 100_000_000_000, 0),
        ] {
            let priced = exact(used).price(factor, Cents::new(price)).unwrap();
            assert_eq!(priced, Cents::new(cents), "{used} ÷ {factor} × {price}");
        }
    }

    #[test]
    fn what_no_invoice_can_hold_is_an_error() {
        let largest = exact("999999999999999");
        assert_eq!(largest.price(1, Cents::new(9_223)), Ok(Cents::new(999_999_999_999_999 * 9_223)));
        assert_eq!(largest.price(1, Cents::new(9_224)), Err(TooLarge));
        assert_eq!(largest.price(1, Cents::new(100_000_000_000)), Err(TooLarge));
        assert_eq!(exact("1").price(1, Cents::new(i64::MAX)), Ok(Cents::new(i64::MAX)));
    }

    #[test]
    fn units_are_exact_or_refused() {
        assert_eq!(exact("1500").per(1_000), Some(quantity("1.5")));
        assert_eq!(exact("1500").per(1_000).unwrap().to_string(), "1.5");
        assert_eq!(exact("0.000000000001").per(1_000_000), Some(quantity("0.000000000000000001")));
        assert_eq!(exact("0.0000000000001").per(1_000_000), None, "nineteen places");
        // 15 digits before the point and 18 behind it are more than a decimal holds.
        assert_eq!(
            exact("999999999999999.000000000001").per(1_000_000),
            Some(quantity("999999999.999999000000000001"))
        );
        assert_eq!(exact("999999999999999").plus(exact("0.000000000000000001")).unwrap().per(1), None);
        assert_eq!(Exact::of(Quantity::new(Decimal::MAX).unwrap()), None);
        assert_eq!(Exact::of(Quantity::new(Decimal::new(1, 19)).unwrap()), None);
    }

    #[test]
    fn a_difference_is_not_rounded_where_the_library_would() {
        let (used, allowance) = ("999999999999999", "0.000000000000000001");
        let library = quantity(used).beyond(quantity(allowance));
        assert_eq!(library, quantity(used), "rounded by the library");
        assert_eq!(exact(used).beyond(exact(allowance)).0, 999_999_999_999_999 * ONE - 1);
        assert_eq!(exact("3").beyond(exact("5")), Exact::ZERO);
    }
}
