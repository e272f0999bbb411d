//! What one may ask of any service's outbox.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Actor, parked::PerService};

/// Publish again what was published before: rebuilds a lost stream from the outbox, same ids, same bytes, same
/// order. Consumers know what they have handled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepublishOutbox {
    /// Only what was written at or after this time; `None`: everything still kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// Who says so.
    pub actor: Actor,
}

/// How much is on its way again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Republished {
    /// Messages that will be published again.
    pub messages: u64,
}

impl PerService for RepublishOutbox {
    const TEMPLATE: &'static str = "cmd.{owner}.outbox.republish.v1";
    type Reply = Republished;
}
