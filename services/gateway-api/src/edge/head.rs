//! Limits on the head of a request, and what makes one unreadable.

use contracts::Problem;
use http::{HeaderMap, Request, StatusCode, Version, header};

use crate::{
    input::{BODY_BYTES_LARGE, is_percent_encoded},
    problem::Failure,
};

/// Most header fields.
pub const HEADERS_MAX: usize = 64;
/// Largest head, in bytes: the target and the fields.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Longest target, in bytes.
const TARGET_BYTES_MAX: usize = 8 * 1024;

/// Refuses a head that is too large or cannot be read in one way only.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Failure> {
    let headers = request.headers();
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > TARGET_BYTES_MAX {
        return Err(Failure::of_status(StatusCode::URI_TOO_LONG));
    }
    // Four bytes a field for the colon, the space and the end of the line.
    let fields: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if headers.len() > HEADERS_MAX || target + fields > HEAD_BYTES_MAX {
        return Err(Failure::of_status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    }
    let hosts = headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Err(Problem::bad_request("Send exactly one Host header.").into());
    }
    if !is_percent_encoded(request.uri().path()) {
        return Err(
            Problem::bad_request("The path holds a % without two hex digits after it, or no UTF-8.").into()
        );
    }
    // No operation takes more; most take less.
    check_length(headers, BODY_BYTES_LARGE)
}

/// Refuses a body that is larger than `limit` by its own word, before any of it is read.
pub(crate) fn check_length(headers: &HeaderMap, limit: usize) -> Result<(), Failure> {
    let declared =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|bytes| bytes > u64::try_from(limit).unwrap_or(u64::MAX)) {
        return Err(Failure::of_status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    Ok(())
}
