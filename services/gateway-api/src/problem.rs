//! Refusals on their way out: one shape for ours, the owners' and the framework's own.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use contracts::{Problem, problem::FieldProblem};
use http::{HeaderValue, StatusCode, header};

use crate::operation::Role;

/// Why a request is not answered. The edge writes the body, as only it knows the request's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(Box<Problem>);

impl Failure {
    /// Every reason a token is refused looks the same from outside.
    pub fn unauthorized() -> Self {
        Self(Box::new(Problem { detail: None, ..Problem::new(401, "Unauthorized", "") }))
    }

    /// The operation is for other callers, and the document says so.
    pub fn forbidden(role: Role) -> Self {
        Problem::new(403, "Forbidden", format!("This operation is for {}.", role.bearers())).into()
    }

    /// Several fields at once.
    pub fn fields(errors: Vec<FieldProblem>) -> Self {
        let mut problem =
            Problem::new(422, "Unprocessable Content", "Fields are not acceptable; see errors.");
        problem.errors = errors;
        problem.into()
    }

    /// A status that the framework chose and that explains itself.
    pub fn of_status(status: StatusCode) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Problem::new(status.as_u16(), title, advice(status)).into()
    }

    /// The problem itself.
    pub fn problem(&self) -> &Problem {
        &self.0
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match StatusCode::from_u16(self.0.status) {
            Ok(status) if status.is_client_error() || status.is_server_error() => status,
            Ok(_) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The body for one request.
    pub fn body(&self, request_id: &str) -> Bytes {
        // What does not exist and what is not the caller's must not differ by a byte, whoever says so.
        let mut problem = match self.status() {
            StatusCode::NOT_FOUND => Problem::not_found(),
            StatusCode::UNAUTHORIZED => *Self::unauthorized().0,
            _ => (*self.0).clone(),
        };
        problem.instance = Some(request_id.to_owned());
        Bytes::from(serde_json::to_vec(&problem).expect("a problem is plain text and numbers"))
    }
}

fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => "Use one of the methods in the Allow header.",
        StatusCode::REQUEST_TIMEOUT => "The request did not arrive in time. Send it again without pauses.",
        StatusCode::PAYLOAD_TOO_LARGE => "The body is larger than this operation takes.",
        StatusCode::URI_TOO_LONG => "The address is longer than 8 KiB. Send fewer or shorter parameters.",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            "Send the body as application/json in UTF-8, without a Content-Encoding."
        }
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "Send at most 64 header fields and 16 KiB of them.",
        StatusCode::BAD_REQUEST => "The request is not well-formed HTTP.",
        StatusCode::TOO_MANY_REQUESTS => "Wait as long as Retry-After says, then try again.",
        StatusCode::SERVICE_UNAVAILABLE => "Wait as long as Retry-After says, then try again.",
        _ => "The request was not answered.",
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Headers that a status asks for, whoever chose it.
pub(crate) fn headers_of(status: StatusCode) -> Option<(header::HeaderName, HeaderValue)> {
    match status {
        StatusCode::UNAUTHORIZED => {
            Some((header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer error="invalid_token""#)))
        }
        StatusCode::TOO_MANY_REQUESTS => Some((header::RETRY_AFTER, HeaderValue::from_static("10"))),
        StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, HeaderValue::from_static("1"))),
        _ => None,
    }
}
