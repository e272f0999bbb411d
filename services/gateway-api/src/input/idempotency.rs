//! `Idempotency-Key`: the name of an effect, so that asking twice does it once.

use axum::extract::FromRequestParts;
use contracts::Problem;
use http::{HeaderMap, HeaderName, request::Parts};
use messaging::IdempotencyKey;
use sha2::{Digest, Sha256};

use crate::{auth::Caller, problem::Failure};

/// The request header.
pub static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The key under which an owner remembers the effect of this request.
///
/// It is bound to tenant, subject, method and path, so that nobody meets another's effect by choosing the
/// same key. A request without the header gets a key that nobody used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectKey(pub IdempotencyKey);

impl<S: Send + Sync> FromRequestParts<S> for EffectKey {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Some(key) = read(&parts.headers)? else { return Ok(Self(IdempotencyKey::random())) };
        let caller = Caller::from_request_parts(parts, state).await?;
        let mut hash = Sha256::new();
        for part in [
            caller.tenant().as_str(),
            caller.subject(),
            parts.method.as_str(),
            parts.uri.path(),
            key.as_str(),
        ] {
            // With its length before it, no part can pretend to be the end of another.
            hash.update(u64::try_from(part.len()).expect("a length fits 64 bits").to_be_bytes());
            hash.update(part);
        }
        let key: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self(IdempotencyKey::parse(&key).expect("hex digits are visible ASCII")))
    }
}

/// The key as the caller wrote it: bare, or as a structured-field string in quotes.
fn read(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Failure> {
    let refuse = || {
        Problem::bad_request(
            "Idempotency-Key must occur once, as 1 to 255 visible ASCII characters, bare or quoted.",
        )
    };
    let mut values = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refuse().into());
    }
    let text = value.to_str().map_err(|_| refuse())?;
    let key = match text.strip_prefix('"') {
        None => text,
        Some(quoted) => {
            quoted.strip_suffix('"').filter(|key| !key.contains(['"', '\\'])).ok_or_else(refuse)?
        }
    };
    let key = IdempotencyKey::parse(key).map_err(|_| refuse())?;
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Method, Request};

    use super::*;
    use crate::auth::Caller;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let values = values.iter().map(|value| HeaderValue::from_bytes(value).unwrap());
        values.map(|value| (IDEMPOTENCY_KEY.clone(), value)).collect()
    }

    #[test]
    fn a_key_is_bare_or_quoted_and_occurs_once() {
        let read = |values: &[&[u8]]| read(&headers(values)).map(|key| key.map(|key| key.to_string()));
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[b"abc"]), Ok(Some("abc".to_owned())));
        assert_eq!(read(&[b"\"abc\""]), Ok(Some("abc".to_owned())));
        assert_eq!(read(&[&[b'k'; 255]]), Ok(Some("k".repeat(255))));
        let bad: [&[&[u8]]; 9] = [
            &[b""],
            &[b"\"\""],
            &[b"\""],
            &[b"\"abc"],
            &[b"\"a\"b\""],
            &[b"a b"],
            &[b"\xff"],
            &[b"a", b"a"],
            &[&[b'k'; 256]],
        ];
        for values in bad {
            assert_eq!(read(values).unwrap_err().status(), 400, "{values:?}");
        }
    }

    async fn effect(method: Method, path: &str, tenant: &str, subject: &str, key: &'static str) -> EffectKey {
        let request = Request::builder().method(method).uri(path).header(&IDEMPOTENCY_KEY, key);
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(Caller::named(tenant, subject));
        EffectKey::from_request_parts(&mut parts, &()).await.unwrap()
    }

    #[tokio::test]
    async fn a_key_is_the_callers_own_and_one_operations() {
        let first = effect(Method::POST, "/a/1", "acme", "ann", "k").await;
        assert_eq!(first, effect(Method::POST, "/a/1?x", "acme", "ann", "\"k\"").await);
        for other in [
            effect(Method::PUT, "/a/1", "acme", "ann", "k").await,
            effect(Method::POST, "/a/2", "acme", "ann", "k").await,
            effect(Method::POST, "/a/1", "other", "ann", "k").await,
            effect(Method::POST, "/a/1", "acme", "bob", "k").await,
            effect(Method::POST, "/a/1", "acme", "ann", "l").await,
            effect(Method::POST, "/a/1", "acmea", "nn", "k").await,
        ] {
            assert_ne!(first, other);
        }
    }
}
