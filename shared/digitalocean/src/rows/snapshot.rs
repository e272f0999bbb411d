//! Snapshots of droplets and of volumes.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Row, nullable};
use crate::{decimal::DecimalText, text::Text};

/// A snapshot of a droplet or of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Snapshot {
    /// A number in text for a droplet's snapshot, a UUID for a volume's.
    pub id: Text,
    /// Not unique.
    pub name: Text,
    /// When it was begun.
    pub created_at: Option<DateTime<Utc>>,
    /// Slugs of the regions it is in.
    #[serde(default, deserialize_with = "nullable")]
    pub regions: Vec<Text>,
    /// The droplet or volume it was taken of, which may be gone.
    pub resource_id: Text,
    /// `droplet` or `volume`.
    pub resource_type: Text,
    /// GB of disk that a restore needs.
    pub min_disk_size: Option<i64>,
    /// Compressed size in GiB. `None` if the provider does not say.
    pub size_gigabytes: Option<DecimalText>,
    /// Tags.
    #[serde(default, deserialize_with = "nullable")]
    pub tags: Vec<Text>,
}

impl Row for Snapshot {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.id.as_str().into())
    }
}
