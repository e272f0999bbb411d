//! Sums of money, exact and with a sign.

use std::{
    fmt,
    ops::{AddAssign, Sub},
};

use money::Charge;

/// A million millionth of a currency's unit: the last digit that a charge can have.
const UNITS: i128 = 10_i128.pow(Charge::FRACTION_DIGITS_MAX as u32);

/// An exact sum or difference of charges. A charge has 27 digits at most; there is room for a billion of the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Amount(i128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
}

impl From<Charge> for Amount {
    fn from(charge: Charge) -> Self {
        let charge = charge.get();
        let behind = u32::try_from(Charge::FRACTION_DIGITS_MAX).unwrap_or_default();
        let missing = behind.saturating_sub(charge.scale());
        Self(charge.mantissa() * 10_i128.pow(missing))
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Amount {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

/// As a decimal is written in SQL.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let units = self.0.unsigned_abs();
        let unit = UNITS.unsigned_abs();
        let (whole, fraction) = (units / unit, units % unit);
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{fraction:012}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}
