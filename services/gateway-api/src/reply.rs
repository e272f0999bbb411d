//! Answers on their way out: JSON that an owner wrote, passed on as it came.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use messaging::Replied;

/// Set on an answer that an earlier request with the same key already got.
pub static IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A JSON answer. It is not parsed here: the owner's bytes are the caller's bytes.
#[derive(Debug, Clone)]
pub struct Reply {
    body: Bytes,
    replayed: bool,
}

impl From<Bytes> for Reply {
    fn from(body: Bytes) -> Self {
        Self { body, replayed: false }
    }
}

impl From<Replied> for Reply {
    fn from(replied: Replied) -> Self {
        Self { body: replied.body, replayed: replied.replayed }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.replayed {
            headers.insert(IDEMPOTENT_REPLAYED.clone(), HeaderValue::from_static("true"));
        }
        response
    }
}
