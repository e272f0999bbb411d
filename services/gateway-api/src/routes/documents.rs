//! The description of this interface, for programs and for people.

use std::sync::LazyLock;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderValue, header};

use crate::{openapi, page, reply::Reply};

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(openapi::document().to_string()));

pub(crate) async fn openapi() -> Reply {
    DOCUMENT.clone().into()
}

pub(crate) async fn page() -> Response {
    let mut response = Body::from(page::HTML.as_str()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, page::POLICY.clone());
    response
}
