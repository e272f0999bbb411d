//! Messages that could not be handled. Every service keeps its own and answers for them, so these subjects
//! carry the owner as a parameter: `{owner}` is the service's name.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Actor, Service,
    ids::ParkedId,
    paging::{Page, PageRequest},
};

/// A message every service answers or publishes under its own name.
pub trait PerService: Serialize + serde::de::DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The subject with `{owner}` where the service's name goes.
    const TEMPLATE: &'static str;

    /// The body of a successful answer; `()` for an announcement.
    type Reply: Serialize + serde::de::DeserializeOwned + JsonSchema + Send + 'static;

    /// The subject of one service.
    fn subject(owner: Service) -> String {
        Self::TEMPLATE.replace("{owner}", owner.name())
    }
}

/// Where a parked message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParkedStatus {
    /// It waits for an operator.
    Parked,
    /// It was handled after all.
    Replayed,
    /// An operator decided that it need not be.
    Dismissed,
}

impl ParkedStatus {
    /// The status as it is written in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Replayed => "replayed",
            Self::Dismissed => "dismissed",
        }
    }
}

/// A parked message, without its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParkedSummary {
    /// Its id.
    pub id: ParkedId,
    /// The service that could not handle it.
    pub service: String,
    /// The subject it came on.
    pub subject: String,
    /// Why it could not be handled.
    pub reason: String,
    /// Where it stands.
    pub status: ParkedStatus,
    /// How often it was delivered before it was parked.
    pub deliveries: i64,
    /// When it was parked.
    pub parked_at: DateTime<Utc>,
    /// Who replayed or dismissed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<DateTime<Utc>>,
}

/// A parked message with everything it carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParkedMessage {
    /// The summary.
    #[serde(flatten)]
    pub summary: ParkedSummary,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Its body as text; what is no UTF-8 is shown with replacement characters.
    pub body: String,
}

/// Announces that a message was parked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageParked {
    /// The summary.
    pub message: ParkedSummary,
}

impl PerService for MessageParked {
    const TEMPLATE: &'static str = "parked.{owner}.message.parked.v1";
    type Reply = ();
}

/// Which messages wait?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListParked {
    /// With this status.
    pub status: ParkedStatus,
    /// Which page.
    pub page: PageRequest,
}

impl PerService for ListParked {
    const TEMPLATE: &'static str = "qry.{owner}.parked.list.v1";
    type Reply = Page<ParkedSummary>;
}

/// One parked message, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetParked {
    /// Which.
    pub id: ParkedId,
}

impl PerService for GetParked {
    const TEMPLATE: &'static str = "qry.{owner}.parked.get.v1";
    type Reply = ParkedMessage;
}

/// Handle a parked message again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayParked {
    /// Which.
    pub id: ParkedId,
    /// Who says so.
    pub actor: Actor,
}

impl PerService for ReplayParked {
    const TEMPLATE: &'static str = "cmd.{owner}.parked.replay.v1";
    type Reply = ParkedSummary;
}

/// Leave a parked message unhandled for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DismissParked {
    /// Which.
    pub id: ParkedId,
    /// Who says so.
    pub actor: Actor,
}

impl PerService for DismissParked {
    const TEMPLATE: &'static str = "cmd.{owner}.parked.dismiss.v1";
    type Reply = ParkedSummary;
}
