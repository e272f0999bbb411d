//! What the API answers before any fault is laid over it.

use bytes::Bytes;
use serde_json::{Value, json};

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers besides content type and rate limit, lower case.
    pub headers: Vec<(String, String)>,
    /// `None` for an answer without a body.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// A JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::raw_json(status, body.to_string())
    }

    /// A JSON answer that is already text.
    pub fn raw_json(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, headers: Vec::new(), content_type: Some("application/json"), body: body.into() }
    }

    /// 200 with one object under its root key.
    pub fn one(root: &str, body: Value) -> Self {
        Self::json(200, &json!({ root: body }))
    }

    /// 204.
    pub fn no_content() -> Self {
        Self { status: 204, headers: Vec::new(), content_type: None, body: Bytes::new() }
    }

    /// A file to download.
    pub fn file(content_type: &'static str, name: &str, body: impl Into<Bytes>) -> Self {
        let disposition = format!("attachment; filename=\"{name}\"");
        Self {
            status: 200,
            headers: vec![("content-disposition".into(), disposition)],
            content_type: Some(content_type),
            body: body.into(),
        }
    }
}

/// A call that was refused; nothing took place.
#[derive(Debug, Clone)]
pub struct Refusal {
    status: u16,
    body: Value,
    headers: Vec<(String, String)>,
}

impl Refusal {
    fn new(status: u16, id: &str, message: impl Into<String>) -> Self {
        let message: String = message.into();
        Self { status, body: json!({"id": id, "message": message}), headers: Vec::new() }
    }

    /// 400 in the common shape.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "bad_request", message)
    }

    /// 400 in the shape that the tags endpoints have.
    pub fn root_causes(error: &str) -> Self {
        let body = json!({"error": error, "messages": null, "root_causes": []});
        Self { status: 400, body, headers: Vec::new() }
    }

    /// 401; one body for every reason.
    pub fn unauthorized() -> Self {
        Self::new(401, "unauthorized", "Unable to authenticate you")
    }

    /// 404.
    pub fn not_found() -> Self {
        Self::new(404, "not_found", "The resource you were accessing could not be found.")
    }

    /// 405, which the real service answers as a 404 on most paths.
    pub fn no_such_operation() -> Self {
        Self::new(404, "not_found", "The resource you requested could not be found.")
    }

    /// 409.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, "conflict", message)
    }

    /// 412.
    pub fn precondition_failed(message: impl Into<String>) -> Self {
        Self::new(412, "precondition_failed", message)
    }

    /// 422.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, "unprocessable_entity", message)
    }

    /// 429; `retry_after_s` only when the burst limit was hit.
    pub fn too_many_requests(retry_after_s: Option<u64>) -> Self {
        let mut refusal = Self::new(429, "too_many_requests", "API rate limit exceeded.");
        if let Some(seconds) = retry_after_s {
            refusal.headers.push(("retry-after".into(), seconds.to_string()));
        }
        refusal
    }

    /// An error of the server with the documented text, or one of another status.
    pub fn server_error(status: u16) -> Self {
        match status {
            401 => Self::unauthorized(),
            404 => Self::not_found(),
            429 => Self::too_many_requests(None),
            _ => Self::new(status, "server_error", "Unexpected server-side error"),
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let mut answer = Self::json(refusal.status, &refusal.body);
        answer.headers = refusal.headers;
        answer
    }
}
