//! Actions: what the provider is doing, or has done, to a droplet.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Row, nullable};
use crate::text::Text;

/// An action. A completed one is not yet a visible state: poll the droplet as well.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Action {
    /// Provider id.
    pub id: i64,
    /// `in-progress`, `completed` or `errored`.
    pub status: Text,
    /// `snapshot`, `power_off`, `create`, …
    #[serde(rename = "type")]
    pub kind: Text,
    /// Equals `created_at` of the snapshot that a snapshot action makes.
    pub started_at: Option<DateTime<Utc>>,
    /// Seen to stay null after completion on the listing under a droplet.
    pub completed_at: Option<DateTime<Utc>>,
    /// The droplet's id, not that of what the action makes.
    pub resource_id: Option<i64>,
    /// `droplet`, …
    #[serde(default, deserialize_with = "nullable")]
    pub resource_type: Text,
    /// Region slug.
    pub region_slug: Option<Text>,
}

impl Action {
    /// Whether it ended well.
    pub fn is_completed(&self) -> bool {
        self.status == "completed"
    }

    /// Whether it ended badly.
    pub fn is_errored(&self) -> bool {
        self.status == "errored"
    }
}

impl Row for Action {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.id.to_string().into())
    }
}
