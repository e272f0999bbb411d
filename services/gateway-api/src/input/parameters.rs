//! Query parameters. A typo must not widen a result, so every name has to be one the operation knows.

use std::{borrow::Cow, fmt::Display, str::FromStr};

use axum::extract::FromRequestParts;
use contracts::{
    Problem,
    paging::{LIMIT_DEFAULT, LIMIT_MAX, PageRequest},
};
use http::request::Parts;
use url::form_urlencoded;

use crate::{input::text::is_plain, problem::Failure};

/// Longest cursor, in bytes.
const CURSOR_BYTES_MAX: usize = 512;

/// The parameters of one request, each at most once, all known to the operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Takes a query string apart. A broken encoding or a repeated name is no well-formed request; a name that
    /// `known` does not hold is not acceptable.
    pub fn parse(query: &str, known: impl Fn(&str) -> bool) -> Result<Self, Failure> {
        if !is_percent_encoded(query) {
            return Err(Problem::bad_request(
                "The query holds a % without two hex digits after it, or no UTF-8.",
            )
            .into());
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !known(&name) {
                let name = if is_plain(&name) && name.len() <= 64 { name } else { Cow::Borrowed("query") };
                return Err(Problem::unprocessable(name, "is no parameter of this operation").into());
            }
            if parameters.iter().any(|(earlier, _)| *earlier == name) {
                return Err(
                    Problem::bad_request(format!("The parameter {name} occurs more than once.")).into()
                );
            }
            if !is_plain(&value) {
                return Err(Problem::unprocessable(
                    name,
                    "holds a control, direction or invisible character",
                )
                .into());
            }
            parameters.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(parameters))
    }

    fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that may be absent; an empty one is not absent.
    pub fn optional<T>(&self, name: &'static str) -> Result<Option<T>, Failure>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.find(name)
            .map(|value| {
                value.parse().map_err(|error: T::Err| Problem::unprocessable(name, error.to_string()).into())
            })
            .transpose()
    }

    /// `limit` and `cursor`.
    pub fn page(&self) -> Result<PageRequest, Failure> {
        let limit = match self.find("limit") {
            None => LIMIT_DEFAULT,
            Some(text) => parse_limit(text).ok_or_else(|| {
                Problem::unprocessable("limit", format!("must be a whole number from 1 to {LIMIT_MAX}"))
            })?,
        };
        let cursor = self.find("cursor");
        if cursor.is_some_and(|c| {
            c.is_empty() || c.len() > CURSOR_BYTES_MAX || !c.bytes().all(|byte| byte.is_ascii_graphic())
        }) {
            return Err(Problem::unprocessable("cursor", "must be the next_cursor of the page before").into());
        }
        Ok(PageRequest { limit, cursor: cursor.map(str::to_owned) })
    }
}

fn parse_limit(text: &str) -> Option<u16> {
    // `u16::from_str` takes a plus sign; one spelling per number is enough.
    let digits = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = digits.then(|| text.parse().ok()).flatten()?;
    (1..=LIMIT_MAX).contains(&limit).then_some(limit)
}

/// Whether every `%` is followed by two hex digits and the whole decodes to UTF-8.
pub(crate) fn is_percent_encoded(text: &str) -> bool {
    if !text.contains('%') {
        return true;
    }
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return false };
        decoded.push(u8::try_from(high * 16 + low).expect("two hex digits are a byte"));
    }
    std::str::from_utf8(&decoded).is_ok()
}

/// The router has parsed them before any handler runs.
impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(parts.extensions.remove::<Self>().unwrap_or_default())
    }
}
