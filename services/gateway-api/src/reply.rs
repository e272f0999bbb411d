//! Answers on their way out: JSON that an owner wrote, passed on as it came.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use messaging::Replied;
use serde::de::DeserializeOwned;

/// Set on an answer that an earlier request with the same key already got.
pub static IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A JSON answer: the owner's bytes are the caller's bytes.
#[derive(Debug, Clone)]
pub struct Reply {
    body: Bytes,
    replayed: bool,
    status: StatusCode,
    location: Option<HeaderValue>,
}

impl From<Bytes> for Reply {
    fn from(body: Bytes) -> Self {
        Self { body, replayed: false, status: StatusCode::OK, location: None }
    }
}

impl From<Replied> for Reply {
    fn from(replied: Replied) -> Self {
        Self { replayed: replied.replayed, ..Self::from(replied.body) }
    }
}

impl Reply {
    /// Something new was made.
    pub(crate) fn created(replied: Replied) -> Self {
        Self { status: StatusCode::CREATED, ..Self::from(replied) }
    }

    /// Something new was made, and is below `collection` from now on, under the name that `name` finds in it.
    pub(crate) fn created_in<T: DeserializeOwned>(
        collection: &str,
        replied: Replied,
        name: impl FnOnce(T) -> String,
    ) -> Self {
        let made = serde_json::from_slice(&replied.body).map_err(|error| {
            tracing::error!(%error, "what was made under {collection} does not fit its type");
        });
        // It is made all the same: then only where it is remains unsaid.
        let location = made.ok().map(|made| format!("{collection}/{}", name(made)));
        let location = location.and_then(|location| HeaderValue::try_from(location).ok());
        Self { location, ..Self::created(replied) }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(location) = self.location {
            headers.insert(header::LOCATION, location);
        }
        if self.replayed {
            headers.insert(IDEMPOTENT_REPLAYED.clone(), HeaderValue::from_static("true"));
        }
        response
    }
}
