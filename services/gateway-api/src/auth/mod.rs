//! Tokens: from an `Authorization` header to a [`Caller`], or to the one 401 that all reasons share.

mod caller;
mod keys;
pub mod secret;
mod verifier;

pub use caller::Caller;
pub use keys::Keys;
pub use verifier::{Reject, Settings, Verifier, VerifierError};

use http::{HeaderMap, header};

use crate::problem::Failure;

/// The token of a request: exactly one header, exactly `Bearer <token>`. No other place is looked at.
pub fn bearer(headers: &HeaderMap) -> Result<&str, Reject> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next().ok_or(Reject::Absent)?, values.next()) else {
        return Err(Reject::Scheme);
    };
    let value = value.to_str().map_err(|_| Reject::Scheme)?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && is_token(token) => Ok(token),
        Some(_) | None => Err(Reject::Scheme),
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Who sends a request with these headers, at `now` in seconds since 1970. The reason of a refusal goes into
/// a metric, and nowhere else.
pub fn authenticate(verifier: &Verifier, headers: &HeaderMap, now: u64) -> Result<Caller, Failure> {
    bearer(headers).and_then(|token| verifier.verify(token, now)).map_err(|reject| {
        metrics::counter!("jwt_reject_total", "reason" => reject.label()).increment(1);
        Failure::unauthorized()
    })
}
