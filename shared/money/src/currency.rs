//! Which money.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An ISO 4217 code of a currency with hundredths, in capitals. Currencies without a minor unit, or with three digits of
/// it, are not taken: an amount in cents would mean something else in them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Cow<'_, str>", into = "String")]
pub struct Currency([u8; 3]);

/// The text names no currency that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an ISO 4217 currency with hundredths, in capitals, such as AUD")]
pub struct InvalidCurrency;

/// Those that a cloud or a model is plausibly billed in.
const KNOWN: [&[u8; 3]; 30] = [
    b"AED", b"AUD", b"BRL", b"CAD", b"CHF", b"CNY", b"CZK", b"DKK", b"EUR", b"GBP", b"HKD", b"HUF", b"IDR",
    b"ILS", b"INR", b"MXN", b"MYR", b"NOK", b"NZD", b"PHP", b"PLN", b"RON", b"SAR", b"SEK", b"SGD", b"THB",
    b"TRY", b"TWD", b"USD", b"ZAR",
];

impl Currency {
    /// Australian dollars: what the seed sells in.
    pub const AUD: Self = Self(*b"AUD");
    /// United States dollars: what the provider bills in.
    pub const USD: Self = Self(*b"USD");

    /// The code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a code is three capital letters")
    }
}

impl FromStr for Currency {
    type Err = InvalidCurrency;

    fn from_str(text: &str) -> Result<Self, InvalidCurrency> {
        KNOWN
            .into_iter()
            .find(|code| code.as_slice() == text.as_bytes())
            .map(|code| Self(*code))
            .ok_or(InvalidCurrency)
    }
}

impl TryFrom<Cow<'_, str>> for Currency {
    type Error = InvalidCurrency;

    fn try_from(text: Cow<'_, str>) -> Result<Self, InvalidCurrency> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl JsonSchema for Currency {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let codes = KNOWN.map(|code| String::from_utf8_lossy(code).into_owned());
        schemars::json_schema!({ "type": "string", "enum": codes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_in_capitals_and_known() {
        assert_eq!("AUD".parse(), Ok(Currency::AUD));
        for bad in ["aud", "US", "XXX", "BTC", "", "AUD ", "JPY"] {
            assert!(bad.parse::<Currency>().is_err(), "{bad:?} was taken");
        }
    }
}
