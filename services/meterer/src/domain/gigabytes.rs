//! A size as it is metered: an exact decimal, never a float.

use std::str::FromStr;

/// Digits before the point; a size with more is a mistake, not a disk.
const WHOLE_DIGITS_MAX: usize = 9;
/// Digits behind the point; finer than a kilobyte. With a share's twelve places a quantity fits in 28 digits.
const FRACTION_DIGITS_MAX: usize = 6;

/// A size in gigabytes, not negative, as the digits that were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gigabytes(String);

/// The text is no size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a size: digits, with at most {WHOLE_DIGITS_MAX} before and {FRACTION_DIGITS_MAX} behind the point"
)]
pub struct InvalidGigabytes;

impl Gigabytes {
    /// The digits, as a decimal is written in SQL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Gigabytes {
    type Err = InvalidGigabytes;

    fn from_str(text: &str) -> Result<Self, InvalidGigabytes> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let digits = |text: &str, max: usize| {
            (1..=max).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit())
        };
        let fits =
            digits(whole, WHOLE_DIGITS_MAX) && fraction.is_none_or(|text| digits(text, FRACTION_DIGITS_MAX));
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidGigabytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_digits_with_at_most_one_point() {
        for good in ["0", "0.0", "2.36", "16384", "0.000001", "999999999.999999"] {
            assert_eq!(good.parse::<Gigabytes>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "NaN",
            "inf",
            " 1",
            "1,5",
            "1_000",
            "٣",
            "1.2.3",
            "1000000000",
            "0.0000001",
        ] {
            assert_eq!(bad.parse::<Gigabytes>(), Err(InvalidGigabytes), "{bad:?} was taken");
        }
    }
}
