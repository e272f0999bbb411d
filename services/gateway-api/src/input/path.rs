//! Ids in paths. A malformed one answers as an absent one does: the caller learns nothing from the difference.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use contracts::{Problem, Service};
use http::request::Parts;
use serde::{Deserialize, de::DeserializeOwned};

use crate::problem::Failure;

/// The parameters of the path, in its order: one value, or a tuple of several.
#[derive(Debug, Clone, Copy)]
pub struct InPath<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for InPath<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(_) => Err(Problem::not_found().into()),
        }
    }
}

/// A service that keeps parked messages, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Owner(pub Service);

/// The text names no service that keeps parked messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be syncer, biller, meterer or saga-orchestrator")]
pub struct InvalidOwner;

impl FromStr for Owner {
    type Err = InvalidOwner;

    fn from_str(text: &str) -> Result<Self, InvalidOwner> {
        Service::OWNERS.into_iter().find(|service| service.name() == text).map(Self).ok_or(InvalidOwner)
    }
}

impl TryFrom<String> for Owner {
    type Error = InvalidOwner;

    fn try_from(text: String) -> Result<Self, InvalidOwner> {
        text.parse()
    }
}
