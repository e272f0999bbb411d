//! Exact decimal numbers as the provider wrote them. They never pass through a float.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;

/// More characters than any price or size needs; beyond it a number is an attack or a mistake.
const CHARS_MAX: usize = 40;

/// `1e30` of anything is no amount. The bound keeps a short text from becoming a huge number downstream.
const EXPONENT_MAX: i32 = 30;

/// A decimal number in the characters of the provider's JSON, whether it came as a number or as a string.
///
/// It has the grammar of a JSON number, so that every exact decimal parser (Postgres' `numeric` included)
/// reads it. Two texts of one value (`1.0`, `1.00`) are different: compare by value after parsing.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct DecimalText(String);

/// The text is no decimal number of a sane length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number")]
pub struct NotADecimal;

impl DecimalText {
    /// Takes the text if it is a decimal number.
    pub fn parse(text: &str) -> Result<Self, NotADecimal> {
        if text.len() <= CHARS_MAX && is_decimal(text) { Ok(Self(text.to_owned())) } else { Err(NotADecimal) }
    }

    /// The number as the provider wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number as the provider wrote it, without a copy.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Whether the value is below zero; `-0.00` is not.
    pub fn is_negative(&self) -> bool {
        self.0.starts_with('-') && !self.is_zero()
    }

    /// Whether the value is zero, however many zeros it is written with.
    pub fn is_zero(&self) -> bool {
        let mantissa = self.0.split(['e', 'E']).next().unwrap_or_default();
        !mantissa.bytes().any(|b| matches!(b, b'1'..=b'9'))
    }
}

fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole) && fraction.is_none_or(digits) && exponent.is_none_or(small_exponent)
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn small_exponent(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits(unsigned) && unsigned.parse::<i32>().is_ok_and(|exponent| exponent <= EXPONENT_MAX)
}

impl fmt::Display for DecimalText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DecimalText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DecimalText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let written = raw.get();
        // A decimal needs no escapes, so the quotes are all there is to take off.
        let text = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(written);
        Self::parse(text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_as_written() {
        for (json, want) in [
            ("0.00744", "0.00744"),
            ("\"0.00744\"", "0.00744"),
            ("0.00743999984115362", "0.00743999984115362"),
            ("0.12345678901234567890", "0.12345678901234567890"),
            ("2.34", "2.34"),
            ("25", "25"),
            ("\"-21.04\"", "-21.04"),
            ("1e-5", "1e-5"),
            ("0", "0"),
        ] {
            let parsed: DecimalText = serde_json::from_str(json).unwrap();
            assert_eq!(parsed.as_str(), want);
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for json in [
            "null",
            "true",
            "\"\"",
            "\"-\"",
            "\"1.\"",
            "\".5\"",
            "\"1,000.00\"",
            "\"$3.11\"",
            "\"NaN\"",
            "\"Infinity\"",
            "\"0x10\"",
            "1e31",
            "\"1e999999999\"",
            "\" 1\"",
            "[1]",
            "{}",
            "11111111111111111111111111111111111111111",
        ] {
            assert!(serde_json::from_str::<DecimalText>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn the_sign_is_that_of_the_value() {
        for (text, negative, zero) in [
            ("-0.00", false, true),
            ("-0.01", true, false),
            ("0", false, true),
            ("5", false, false),
            ("-0e7", false, true),
        ] {
            let parsed = DecimalText::parse(text).unwrap();
            assert_eq!((parsed.is_negative(), parsed.is_zero()), (negative, zero), "{text}");
        }
    }
}
