//! Reserved (formerly floating) addresses.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Row, region};
use crate::text::Text;

/// A reserved IPv4 address. `/v2/floating_ips` lists the same rows again, so only one of the two is walked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReservedIp {
    /// The address, which is its only id.
    pub ip: Text,
    /// Region slug.
    #[serde(deserialize_with = "region")]
    pub region: Text,
    /// `None` when unassigned.
    pub droplet: Option<AttachedDroplet>,
    /// Whether an action holds it.
    #[serde(default)]
    pub locked: bool,
    /// The project it is in.
    pub project_id: Option<Text>,
}

/// The droplet an address points at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AttachedDroplet {
    /// Provider id.
    pub id: i64,
}

impl Row for ReservedIp {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.ip.as_str().into())
    }
}
