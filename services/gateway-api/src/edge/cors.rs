//! Which pages may read our answers from a browser.

use http::{HeaderMap, HeaderValue, header};
use url::{Host, Origin, Url};

/// Whose pages are let in. The two never mix: a deployed gateway knows no localhost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cors {
    /// Any port of `http://localhost`.
    Development,
    /// What is below `https://sky-ai.com`, on the default port (SPEC 1.6: `*.sky-ai.com` and nothing else).
    Deployed,
}

/// How long a browser may remember a preflight, in seconds.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("600");

impl Cors {
    /// Whether pages of an origin may read answers.
    pub fn allows(self, origin: &str) -> bool {
        // The parsed origin must be all that the text says: no user, path, or anything else the parser forgives.
        let Ok(url) = Url::parse(origin) else { return false };
        let Origin::Tuple(scheme, host, port) = url.origin() else { return false };
        if url.origin().ascii_serialization() != origin.to_ascii_lowercase() {
            return false;
        }
        let Host::Domain(host) = host else { return false };
        match self {
            Self::Development => scheme == "http" && host == "localhost",
            Self::Deployed => scheme == "https" && port == 443 && host.ends_with(".sky-ai.com"),
        }
    }

    /// Tells the browser, on every answer. An unknown origin gets no word about it rather than a refusal.
    pub(super) fn apply(self, headers: &mut HeaderMap, origin: Option<&HeaderValue>) {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        let Some(origin) = origin else { return };
        if origin.to_str().is_ok_and(|text| self.allows(text)) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static("location, x-request-id, idempotent-replayed, retry-after"),
            );
        } else {
            for name in [
                header::ACCESS_CONTROL_ALLOW_METHODS,
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                header::ACCESS_CONTROL_MAX_AGE,
            ] {
                headers.remove(name);
            }
        }
    }
}

/// The same answer to every preflight, whatever it asks for; no token is needed to ask.
pub(super) fn preflight(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "authorization, content-type, idempotency-key, last-event-id, x-request-id, traceparent",
        ),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_let_in_or_not() {
        // Origin, in development, deployed.
        for (origin, development, deployed) in [
            ("http://localhost", true, false),
            ("http://localhost:3000", true, false),
            ("http://localhost:65535", true, false),
            ("http://LOCALHOST:3000", true, false),
            ("https://localhost:3000", false, false),
            ("http://127.0.0.1:3000", false, false),
            ("http://localhost:65536", false, false),
            ("http://localhost:", false, false),
            ("http://localhost.evil.com", false, false),
            ("http://localhost:3000.evil.com", false, false),
            ("http://evil.com/http://localhost", false, false),
            ("http://user@localhost:3000", false, false),
            ("http://localhost:3000/", false, false),
            ("https://sky-ai.com", false, false),
            ("https://app.sky-ai.com", false, true),
            ("https://a.b.sky-ai.com", false, true),
            ("https://APP.Sky-AI.com", false, true),
            ("http://app.sky-ai.com", false, false),
            ("https://app.sky-ai.com:8443", false, false),
            ("https://sky-ai.com.evil.com", false, false),
            ("https://evilsky-ai.com", false, false),
            ("https://a.sky-ai.com:8443@evil", false, false),
            ("https://a.sky-ai.com@evil.com", false, false),
            ("https://evil.com#.sky-ai.com", false, false),
            ("https://evil.com/.sky-ai.com", false, false),
            ("https://evil.com\\.sky-ai.com", false, false),
            ("https://app.sky-ai.com.", false, false),
            ("https://app.ѕky-ai.com", false, false),
            ("https://sky\u{2010}ai.com", false, false),
            (" https://sky-ai.com", false, false),
            ("https://sky-ai.com https://evil.com", false, false),
            ("wss://app.sky-ai.com", false, false),
            ("file:///", false, false),
            ("null", false, false),
            ("*", false, false),
            ("", false, false),
        ] {
            assert_eq!(Cors::Development.allows(origin), development, "{origin} in development");
            assert_eq!(Cors::Deployed.allows(origin), deployed, "{origin} deployed");
        }
    }
}
