//! JSON bodies: 400 for what is no JSON, 422 with the fields named for what is JSON and not what was asked for.

mod refine;
mod shape;

use std::time::Duration;

use axum::{body::Body, extract::FromRequest};
use contracts::Problem;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::problem::Failure;

/// Largest body, in bytes; chunked ones are counted as they come.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// A JSON object of the type `T`.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<S, T> FromRequest<S> for Json<T>
where
    S: Send + Sync,
    T: DeserializeOwned + JsonSchema,
{
    type Rejection = Failure;

    async fn from_request(request: Request<Body>, _: &S) -> Result<Self, Failure> {
        if !is_json(request.headers()) {
            return Err(Failure::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
        let body = match tokio::time::timeout(BODY_TIMEOUT, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return Err(Failure::of_status(StatusCode::PAYLOAD_TOO_LARGE));
            }
            Ok(Err(_)) => return Err(Problem::bad_request("The body broke off before its end.").into()),
            Err(_) => return Err(Failure::of_status(StatusCode::REQUEST_TIMEOUT)),
        };
        parse(&body).map(Self)
    }
}

/// `application/json` once, in UTF-8, not compressed.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next().and_then(|value| value.to_str().ok()), types.next()) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|parameter| {
        parameter.split_once('=').is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
    });
    is_json && is_utf8 && !headers.contains_key(header::CONTENT_ENCODING)
}

fn parse<T: DeserializeOwned + JsonSchema>(body: &[u8]) -> Result<T, Failure> {
    if body.is_empty() {
        return Err(Problem::bad_request("The body is empty; send a JSON object.").into());
    }
    let shape = shape::of(body)
        .map_err(|error| Problem::bad_request(format!("The body is no JSON text: {error}.")))?;
    let Some(keys) = shape.keys else {
        return Err(Problem::unprocessable("", "must be a JSON object").into());
    };
    if !shape.problems.is_empty() {
        return Err(Failure::fields(shape.problems));
    }
    // Parsed from the text again and not from a tree, so that no number passes through a float.
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        if error.inner().is_data() {
            Failure::fields(refine::fields::<T>(&keys, &error))
        } else {
            Problem::bad_request(format!("The body is no JSON text: {}.", error.inner())).into()
        }
    })
}

/// A field that must be there and may be `null`. Not `serde(transparent)`: that would let it be absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nullable<T>(pub Option<T>);

impl<T: JsonSchema> JsonSchema for Nullable<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Nullable{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Option::<T>::json_schema(generator)
    }
}

/// For a field that may be absent and not `null`: `#[serde(default, deserialize_with = "present")]`.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests;
