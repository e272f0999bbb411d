//! The one shape of an error, on NATS and over HTTP: RFC 9457 problem details.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An error that says what to do (`application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{title} ({status})")]
pub struct Problem {
    /// What kind of problem it is; `about:blank` when the status says it all.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words; the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time and what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The id of the request, for support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The fields that were refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
}

/// One refused field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldProblem {
    /// The field: a JSON Pointer into the body (`/tenant_id`), or the name of a parameter or header.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}

impl Problem {
    /// The media type of the body.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// A problem that its status explains.
    pub fn new(status: u16, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".to_owned(),
            title: title.to_owned(),
            status,
            detail: Some(detail.into()),
            instance: None,
            errors: Vec::new(),
        }
    }

    /// The request is not well formed (400).
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(400, "Bad Request", detail)
    }

    /// There is no such thing, or it is not the caller's to see; the two are not told apart (404).
    pub fn not_found() -> Self {
        Self::new(404, "Not Found", "There is nothing here that you can see. Check the path and the id.")
    }

    /// The request clashes with what is there now (409).
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(409, "Conflict", detail)
    }

    /// A field is well formed and still not acceptable (422).
    pub fn unprocessable(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let mut problem = Self::new(422, "Unprocessable Content", "A field is not acceptable; see errors.");
        problem.errors.push(FieldProblem { field: field.into(), detail });
        problem
    }

    /// Something failed on our side; the cause is in the log, not in the answer (500).
    pub fn internal() -> Self {
        Self::new(500, "Internal Server Error", "The request failed on our side. Try again, or tell support.")
    }

    /// A part of the system cannot be reached; asking again is safe (503).
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(503, "Service Unavailable", detail)
    }
}
