//! The document as a page: one file that asks this gateway for the document and loads nothing else.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;
use sha2::{Digest, Sha256};

use crate::operations::OPENAPI_PATH;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page.
pub(crate) static HTML: LazyLock<String> = LazyLock::new(|| {
    include_str!("page.html")
        .replace("{style}", STYLE)
        .replace("{script}", SCRIPT)
        .replace("{document}", OPENAPI_PATH)
});

/// What the page may do: run its own script and style, known by their hashes, and ask this gateway.
pub(crate) static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; connect-src 'self'; script-src 'sha256-{}'; style-src 'sha256-{}'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    HeaderValue::from_str(&policy).expect("base64 may stand in a header")
});
