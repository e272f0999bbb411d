//! Managed database clusters, without their secrets.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Row, nullable, region};
use crate::text::Text;

/// A managed database cluster.
///
/// The provider's answer holds live passwords (`connection`, `private_connection`, `standby_connection`,
/// `users`, and more as products are added). None of it has a field here, so none of it outlives the parsing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Database {
    /// UUID.
    pub id: Text,
    /// Display name.
    pub name: Text,
    /// `pg`, `mysql`, `valkey`, …
    pub engine: Text,
    /// Version of the engine.
    pub version: Option<Text>,
    /// Number of nodes.
    pub num_nodes: Option<i64>,
    /// Size slug.
    pub size: Option<Text>,
    /// Region slug.
    #[serde(deserialize_with = "region")]
    pub region: Text,
    /// `creating`, `online`, …
    pub status: Text,
    /// Storage in MiB.
    pub storage_size_mib: Option<i64>,
    /// Its network.
    pub private_network_uuid: Option<Text>,
    /// Tags.
    #[serde(default, deserialize_with = "nullable")]
    pub tags: Vec<Text>,
    /// The project it is in.
    pub project_id: Option<Text>,
    /// `None` if the provider left it out.
    pub created_at: Option<DateTime<Utc>>,
}

impl Row for Database {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.id.as_str().into())
    }
}
