//! Projects and what belongs to them.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Row, nullable};
use crate::{text::Text, urn::Urn};

/// A project. Every account has exactly one default project, which catches what is assigned to no other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Project {
    /// UUID.
    pub id: Text,
    /// Unique in the account.
    pub name: Text,
    /// Free text.
    #[serde(default, deserialize_with = "nullable")]
    pub description: Text,
    /// One outside the provider's list comes back as `Other: <text>`.
    #[serde(default, deserialize_with = "nullable")]
    pub purpose: Text,
    /// `Development`, `Staging`, `Production` or empty.
    #[serde(default, deserialize_with = "nullable")]
    pub environment: Text,
    /// Whether new resources land here.
    #[serde(default, deserialize_with = "nullable")]
    pub is_default: bool,
    /// `None` if the provider left it out.
    pub created_at: Option<DateTime<Utc>>,
    /// `None` if the provider left it out.
    pub updated_at: Option<DateTime<Utc>>,
}

impl Row for Project {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.id.as_str().into())
    }
}

/// A resource that belongs to a project.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProjectResource {
    /// Which resource, as the provider writes it: one row that is no [`Urn`] must not cost the whole listing.
    pub urn: Text,
    /// Since when.
    pub assigned_at: Option<DateTime<Utc>>,
    /// `ok`, …
    pub status: Option<Text>,
}

impl Row for ProjectResource {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.urn.as_str().into())
    }
}

/// What became of one resource that was to be assigned. A 200 can hold refusals.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Assignment {
    /// Which resource.
    pub urn: Urn,
    /// `ok`, `assigned`, `already_assigned`, `not_found`, `service_down`, …
    pub status: Text,
}

impl Assignment {
    /// Whether the resource is in the project now. An unknown status is not taken for a success.
    pub fn took_effect(&self) -> bool {
        matches!(self.status.as_str(), "ok" | "assigned" | "already_assigned")
    }
}
