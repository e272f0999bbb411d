//! What arcadia-llm-gateway publishes: priced usage, corrections of it, and voids. It is not ours, but its contract is:
//! `nats/LLM_USAGE.md` says how to publish and what to do on each answer.
//!
//! The subject ends in the tenant, which must be the body's. Nothing of prompts or completions may be in a body.

use chrono::{DateTime, Utc};
use money::{Charge, Currency};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Event, Message, TenantId,
    ids::{DeploymentId, RequestId},
};

/// Header: the producer instance, 1 to 64 of `A–Z a–z 0–9 _ -`; a new name at each of its starts.
pub const PRODUCER: &str = "Arcadia-Producer";
/// Header: the producer instance counts its messages, from 1, without gaps; a message sent again keeps its number.
pub const SEQUENCE: &str = "Arcadia-Producer-Sequence";

/// Most tokens of one kind in one request.
pub const TOKENS_MAX: u64 = 1_000_000_000_000;
/// What one charge is less than, in whole units of its currency.
pub const CHARGE_BELOW: u64 = 1_000_000_000;
/// Longest `metadata`, in bytes of its JSON.
pub const METADATA_BYTES_MAX: usize = 4_096;

/// One priced request to a model. The gateway is the pricing authority: `charge` is taken as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsageRecorded {
    /// The request's id, for ever: the same id again is the same request.
    pub gateway_request_id: RequestId,
    /// Whose request.
    pub tenant_id: TenantId,
    /// The deployment that made it.
    pub deployment_id: DeploymentId,
    /// Who ran the model: 1 to 64 characters.
    #[schemars(length(min = 1, max = 64))]
    pub provider: String,
    /// The model that ran: 1 to 128 characters.
    #[schemars(length(min = 1, max = 128))]
    pub model: String,
    /// Tokens read, cached ones not counted; at most 10^12.
    #[schemars(range(max = 1_000_000_000_000_u64))]
    pub prompt_tokens: u64,
    /// Tokens written.
    #[schemars(range(max = 1_000_000_000_000_u64))]
    pub completion_tokens: u64,
    /// Tokens read from a cache; 0 when left out.
    #[serde(default)]
    #[schemars(range(max = 1_000_000_000_000_u64))]
    pub cached_tokens: u64,
    /// What it costs the tenant, exactly; less than 10^9.
    pub charge: Charge,
    /// The currency of the charge: that of the deployment's plan.
    pub currency: Currency,
    /// When it happened; its day in UTC is the day it counts for.
    pub occurred_at: DateTime<Utc>,
    /// Anything else worth keeping, at most 4 KiB of JSON.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

/// A recorded request had other figures than these. They take the place of what was recorded, or last corrected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsageCorrected {
    /// The correction's id, for ever.
    pub correction_id: RequestId,
    /// Which request.
    pub gateway_request_id: RequestId,
    /// Whose request; as recorded.
    pub tenant_id: TenantId,
    /// The deployment that made it; as recorded.
    pub deployment_id: DeploymentId,
    /// Tokens read, cached ones not counted.
    #[schemars(range(max = 1_000_000_000_000_u64))]
    pub prompt_tokens: u64,
    /// Tokens written.
    #[schemars(range(max = 1_000_000_000_000_u64))]
    pub completion_tokens: u64,
    /// Tokens read from a cache; 0 when left out.
    #[serde(default)]
    #[schemars(range(max = 1_000_000_000_000_u64))]
    pub cached_tokens: u64,
    /// What it costs the tenant, exactly.
    pub charge: Charge,
    /// The currency of the charge; as recorded.
    pub currency: Currency,
    /// Why: 1 to 500 characters.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    /// When it was decided.
    pub occurred_at: DateTime<Utc>,
}

/// A recorded request does not count: as a correction to nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsageVoided {
    /// The void's id, for ever; from the same range as those of corrections.
    pub correction_id: RequestId,
    /// Which request.
    pub gateway_request_id: RequestId,
    /// Whose request; as recorded.
    pub tenant_id: TenantId,
    /// The deployment that made it; as recorded.
    pub deployment_id: DeploymentId,
    /// Why: 1 to 500 characters.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    /// When it was decided.
    pub occurred_at: DateTime<Utc>,
}

macro_rules! usage_event {
    ($name:ident, $subject:literal) => {
        impl Message for $name {
            const SUBJECT: &'static str = $subject;
        }

        impl Event for $name {
            fn key(&self) -> Option<String> {
                Some(self.tenant_id.to_string())
            }

            fn tenant(&self) -> Option<&TenantId> {
                Some(&self.tenant_id)
            }
        }
    };
}

usage_event!(UsageRecorded, "evt.llm-gateway.usage.recorded.v1");
usage_event!(UsageCorrected, "evt.llm-gateway.usage.corrected.v1");
usage_event!(UsageVoided, "evt.llm-gateway.usage.voided.v1");
