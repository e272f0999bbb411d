//! The name of one request, in its answer, its problem and its log lines.

use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use super::REQUEST_ID;

/// The id of one request: the caller's own if it is harmless, else ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// Takes `X-Request-Id` if it is 8 to 64 letters, digits and hyphens, and makes one up otherwise.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(&REQUEST_ID).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Self::random() };
        match value.to_str() {
            Ok(text) if is_harmless(text) => Self(text.to_owned()),
            Ok(_) | Err(_) => Self::random(),
        }
    }

    /// An id that nobody used.
    pub fn random() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("letters, digits and hyphens may stand in a header")
    }
}

fn is_harmless(text: &str) -> bool {
    (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_harmless_id_is_kept() {
        for (text, kept) in [
            ("0123-abc", true),
            (&*"x".repeat(64), true),
            ("short", false),
            (&*"x".repeat(65), false),
            ("with space", false),
            ("\u{1b}[31mred", false),
        ] {
            assert_eq!(is_harmless(text), kept, "{text:?}");
        }
        let twice = [("abcdefgh", ()), ("ijklmnop", ())];
        let headers: HeaderMap =
            twice.iter().map(|(v, ())| (REQUEST_ID.clone(), HeaderValue::from_static(v))).collect();
        assert_ne!(RequestId::of(&headers).as_str(), "abcdefgh");
    }
}
