//! Block storage volumes.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Row, nullable, region};
use crate::text::Text;

/// A block storage volume.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Volume {
    /// UUID.
    pub id: Text,
    /// Unique per region.
    pub name: Text,
    /// Free text.
    #[serde(default, deserialize_with = "nullable")]
    pub description: Text,
    /// Provisioned size in GiB.
    pub size_gigabytes: i64,
    /// Region slug.
    #[serde(deserialize_with = "region")]
    pub region: Text,
    /// The droplet it is attached to; at most one.
    #[serde(default, deserialize_with = "nullable")]
    pub droplet_ids: Vec<i64>,
    /// `ext4`, `xfs` or empty.
    #[serde(default, deserialize_with = "nullable")]
    pub filesystem_type: Text,
    /// Label of the file system.
    #[serde(default, deserialize_with = "nullable")]
    pub filesystem_label: Text,
    /// Tags.
    #[serde(default, deserialize_with = "nullable")]
    pub tags: Vec<Text>,
    /// `None` if the provider left it out.
    pub created_at: Option<DateTime<Utc>>,
}

impl Row for Volume {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.id.as_str().into())
    }
}
