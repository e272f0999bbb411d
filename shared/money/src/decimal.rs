//! Decimals as text: one spelling, no exponent, bounded digits. The library's own parser takes `1_000`, `1e2`, `+1`
//! and `.5`, and rounds what has too many digits.

use rust_decimal::Decimal;

/// The text is no decimal that can be kept exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a decimal string such as \"12.5\": digits, at most {whole} before and {fraction} behind one point"
)]
pub struct InvalidDecimal {
    whole: usize,
    fraction: usize,
}

/// Reads a decimal that is not negative. `-0` is 0.
pub(crate) fn parse(text: &str, whole_max: usize, fraction_max: usize) -> Result<Decimal, InvalidDecimal> {
    let refuse = InvalidDecimal { whole: whole_max, fraction: fraction_max };
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let digits =
        |text: &str, max: usize| (1..=max).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit());
    if !digits(whole.strip_prefix('-').unwrap_or(whole), whole_max)
        || !fraction.is_none_or(|text| digits(text, fraction_max))
        || (whole.len() > 1 && whole.starts_with('0'))
    {
        return Err(refuse);
    }
    let value = Decimal::from_str_exact(text).map_err(|_| refuse)?;
    if value.is_zero() {
        return Ok(Decimal::ZERO);
    }
    if value.is_sign_negative() { Err(refuse) } else { Ok(value) }
}
