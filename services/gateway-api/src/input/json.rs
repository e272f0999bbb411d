//! JSON bodies: 400 for what is no JSON, 422 with the fields named for what is JSON and not what was asked for.

mod refine;
mod shape;

use std::{borrow::Cow, fmt, marker::PhantomData, time::Duration};

use axum::{body::Body, extract::FromRequest};
use bytes::Bytes;
use contracts::Problem;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;

use crate::problem::Failure;

/// Largest body, in bytes, where an operation does not say otherwise; chunked ones are counted as they come.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Largest body of an operation that takes many things at once. With what is put around it, it fits one message:
/// `max_payload` of nats/server.conf.
pub const BODY_BYTES_LARGE: usize = 1_000_000;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// Largest body of the operation that was asked for; in a request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimit(pub usize);

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
        JsonText::read(request, shape::of).await?.parse().map(Self)
    }
}

/// A JSON object as it was written, of which only the names at the top were looked at: what stands below them is judged
/// by whoever takes it, part by part.
#[derive(Debug, Clone)]
pub struct JsonText {
    text: Bytes,
    keys: Vec<String>,
}

impl<S: Send + Sync> FromRequest<S> for JsonText {
    type Rejection = Failure;

    async fn from_request(request: Request<Body>, _: &S) -> Result<Self, Failure> {
        Self::read(request, shape::top_of).await
    }
}

type LookAt = fn(&[u8]) -> Result<shape::Shape, serde_json::Error>;

impl JsonText {
    async fn read(request: Request<Body>, look_at: LookAt) -> Result<Self, Failure> {
        if !is_json(request.headers()) {
            return Err(Failure::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let limit = request.extensions().get::<BodyLimit>().map_or(BODY_BYTES_MAX, |limit| limit.0);
        let body = Limited::new(request.into_body(), limit).collect();
        match tokio::time::timeout(BODY_TIMEOUT, body).await {
            Ok(Ok(body)) => Self::look(body.to_bytes(), look_at),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                Err(Failure::of_status(StatusCode::PAYLOAD_TOO_LARGE))
            }
            Ok(Err(_)) => Err(Problem::bad_request("The body broke off before its end.").into()),
            Err(_) => Err(Failure::of_status(StatusCode::REQUEST_TIMEOUT)),
        }
    }

    fn look(text: Bytes, look_at: LookAt) -> Result<Self, Failure> {
        if text.is_empty() {
            return Err(Problem::bad_request("The body is empty; send a JSON object.").into());
        }
        let shape = look_at(&text)
            .map_err(|error| Problem::bad_request(format!("The body is no JSON text: {error}.")))?;
        let Some(keys) = shape.keys else {
            return Err(Problem::unprocessable("", "must be a JSON object").into());
        };
        if !shape.problems.is_empty() {
            return Err(Failure::fields(shape.problems));
        }
        Ok(Self { text, keys })
    }

    /// Whether the object has a member of this name.
    pub fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key == name)
    }

    /// The object as the type `T`.
    pub fn parse<T: DeserializeOwned + JsonSchema>(&self) -> Result<T, Failure> {
        // Parsed from the text again and not from a tree, so that no number passes through a float.
        let mut deserializer = serde_json::Deserializer::from_slice(&self.text);
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            // It is JSON, as the first look found: whatever is wrong now is wrong with a field.
            Failure::fields(refine::fields::<T>(&self.keys, &error))
        })
    }

    /// The object unparsed, for whoever parses it.
    pub fn into_raw(self) -> Result<Box<RawValue>, Failure> {
        serde_json::from_slice(&self.text)
            .map_err(|error| Problem::bad_request(format!("The body is no JSON text: {error}.")).into())
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

/// Refuses more than `max` items of a field; a list that fits the body may still be longer than anyone means.
pub fn at_most(max: usize, count: usize, field: &str) -> Result<(), Failure> {
    if count > max {
        return Err(Problem::unprocessable(field, format!("must hold at most {max}")).into());
    }
    Ok(())
}

/// A field that must be there and may be `null`. Not `serde(transparent)`: that would let it be absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nullable<T>(pub Option<T>);

impl<T: JsonSchema> JsonSchema for Nullable<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Nullable{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Option::<T>::json_schema(generator)
    }
}

/// An object within a body. A derived type alone would also take a list of its fields' values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }

        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

impl<T: JsonSchema> JsonSchema for Object<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
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
