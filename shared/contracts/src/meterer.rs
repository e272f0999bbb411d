//! What meterer announces, and what one may ask of it: how much was used.

use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, Utc};
use money::{Charge, Currency, Quantity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Actor, Event, Job, Message, Scope, TenantId,
    ids::{BillingKind, DeploymentId, RequestId, ResourceId},
    llm_gateway::UsageRecorded,
    paging::{Page, PageRequest},
    problem::FieldProblem,
    syncer::ResourceKind,
};

/// How finely usage of a billing kind is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// One record a day.
    Daily,
    /// One record an hour.
    Hourly,
}

impl Granularity {
    /// The granularity as it is written in the database and in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Hourly => "hourly",
        }
    }
}

/// The text names no granularity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be daily or hourly")]
pub struct InvalidGranularity;

impl FromStr for Granularity {
    type Err = InvalidGranularity;

    fn from_str(text: &str) -> Result<Self, InvalidGranularity> {
        [Self::Daily, Self::Hourly].into_iter().find(|g| g.as_str() == text).ok_or(InvalidGranularity)
    }
}

impl fmt::Display for Granularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Metered usage of one billing kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KindUsage {
    /// The billing kind.
    pub billing_kind: BillingKind,
    /// Base units.
    pub qty: Quantity,
}

/// LLM usage of one day, provider, model and currency; or the sum of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LlmUsage {
    /// The day; absent in a sum over days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<NaiveDate>,
    /// Who ran the model; absent in a sum over models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model; absent in a sum over models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The currency of the charge.
    pub currency: Currency,
    /// Requests; a voided one no longer counts.
    pub requests: u64,
    /// Tokens read, cached ones not counted.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// Tokens read from a cache.
    pub cached_tokens: u64,
    /// The exact sum of the gateway's charges.
    pub charge: Charge,
}

/// What was used from `from` on and before `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageReport {
    /// First day.
    pub from: NaiveDate,
    /// First day that does not count.
    pub to: NaiveDate,
    /// The deployment; absent: all that may be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<DeploymentId>,
    /// Metered usage, by billing kind; `llm_tokens` is the sum of prompt and completion tokens.
    pub kinds: Vec<KindUsage>,
    /// LLM usage over all days and models, by currency.
    pub llm_total: Vec<LlmUsage>,
    /// LLM usage by model, over all days: of at most 200 models, those with the largest charges.
    pub llm_by_model: Vec<LlmUsage>,
    /// How many more there are that `llm_by_model` leaves out; all other sums count them.
    #[serde(default)]
    pub models_left_out: u64,
    /// LLM usage by day, over all models.
    pub llm_by_day: Vec<LlmUsage>,
    /// Resources that could not be metered on at least one of the days.
    pub unmetered: u64,
}

impl UsageReport {
    /// Most rows of `llm_by_model`.
    pub const MODELS_MAX: usize = 200;
}

/// How much was used?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetUsage {
    /// Whose.
    pub scope: Scope,
    /// Of this deployment only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<DeploymentId>,
    /// Of this tenant only; within the scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<TenantId>,
    /// First day.
    pub from: NaiveDate,
    /// First day that does not count; at most 400 days after `from`, and at most 31 when it is of everyone: asked by an
    /// operator who names neither deployment nor tenant.
    pub to: NaiveDate,
}

query!(GetUsage => UsageReport, "qry.meterer.usage.get.v1");

/// What one deployment used: what a period's invoice is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentUsage {
    /// The deployment.
    pub deployment_id: DeploymentId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Metered usage, by billing kind; LLM tokens are not among it.
    pub kinds: Vec<KindUsage>,
    /// LLM usage over all days and models, by currency.
    pub llm: Vec<LlmUsage>,
}

/// How much did each deployment use? Those that used nothing are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListDeploymentUsage {
    /// Whose.
    pub scope: Scope,
    /// First day.
    pub from: NaiveDate,
    /// First day that does not count; at most 400 days after `from`.
    pub to: NaiveDate,
    /// Which page, by deployment.
    pub page: PageRequest,
}

query!(ListDeploymentUsage => Page<DeploymentUsage>, "qry.meterer.usage.list.v1");

/// A resource that made no record on a day, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unmetered {
    /// The day.
    pub day: NaiveDate,
    /// The resource.
    pub resource_id: ResourceId,
    /// What sort of thing it is.
    pub resource_kind: ResourceKind,
    /// The name people gave it.
    pub name: String,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The deployment it is part of.
    pub deployment_id: DeploymentId,
    /// What it would have counted for.
    pub billing_kind: BillingKind,
    /// Why it does not: `size_unknown`.
    pub reason: String,
}

/// What could not be metered?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListUnmetered {
    /// Whose.
    pub scope: Scope,
    /// Of this deployment only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<DeploymentId>,
    /// First day.
    pub from: NaiveDate,
    /// First day that does not count.
    pub to: NaiveDate,
    /// Which page, by day and resource.
    pub page: PageRequest,
}

query!(ListUnmetered => Page<Unmetered>, "qry.meterer.unmetered.list.v1");

/// The same id with other content: kept out of every sum, and shown.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct UsageConflict {
    /// Which request, or which correction.
    pub gateway_request_id: RequestId,
    /// `recorded`, `corrected` or `voided`: what the rejected event says happened.
    pub event: String,
    /// The tenant of both; absent when they differ, which is operators' business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<TenantId>,
    /// The deployment of both; absent when they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<DeploymentId>,
    /// The fields that differ; empty when what was kept is older than its retention.
    pub fields: Vec<String>,
    /// The fields of the rejected event that are known, each in one spelling; numbers in its metadata digit by digit.
    #[schemars(with = "serde_json::Value")]
    pub rejected: Box<RawValue>,
    /// When it came.
    pub recorded_at: DateTime<Utc>,
}

/// Which usage was rejected for differing from what was already recorded?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListUsageConflicts {
    /// Whose.
    pub scope: Scope,
    /// Of this deployment only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<DeploymentId>,
    /// Which page, newest first.
    pub page: PageRequest,
}

query!(ListUsageConflicts => Page<UsageConflict>, "qry.meterer.usage-conflict.list.v1");

/// How far a producer instance's numbered messages have come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageProducer {
    /// The producer instance.
    pub producer: String,
    /// The highest number seen.
    pub highest: u64,
    /// How many below it are missing.
    pub missing: u64,
    /// The first ranges of missing numbers, at most 20, first and last of each.
    pub gaps: Vec<(u64, u64)>,
    /// When a message of it last came.
    pub seen_at: DateTime<Utc>,
}

/// How far are the producers? Operators only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListUsageProducers {
    /// Whose: an operator's.
    pub scope: Scope,
    /// Which page, by name.
    pub page: PageRequest,
}

query!(ListUsageProducers => Page<UsageProducer>, "qry.meterer.usage-producer.list.v1");

/// What became of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageOutcome {
    /// It counts.
    Accepted,
    /// It was recorded before, with the same content; it counts once.
    Duplicate,
    /// Its id was recorded before, with other content; it does not count, and is kept as a conflict.
    Conflict,
    /// It cannot be read; it was not kept. Mend it and send it again.
    Invalid,
    /// It was kept aside: until its deployment is known and what waited for it before is counted, or for an operator, as the
    /// deployment is not its tenant's or has another currency.
    Parked,
}

/// What became of one event, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageResult {
    /// The event's id; absent when it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_request_id: Option<RequestId>,
    /// What became of it.
    pub outcome: UsageOutcome,
    /// Why; absent when it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The fields that were refused, as JSON Pointers into the event: the first of them where there are many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
}

/// What became of each, in the order they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageResults {
    /// One per event.
    pub results: Vec<UsageResult>,
}

/// Record usage that came by HTTP. Each event is judged by itself.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RecordUsage {
    /// 1 to 1 000 events, each as it was written: a [`UsageRecorded`] if it is well formed.
    #[schemars(with = "Vec<UsageRecorded>")]
    pub events: Vec<Box<RawValue>>,
    /// Who sends them.
    pub actor: Actor,
}

impl RecordUsage {
    /// Most events in one command.
    pub const EVENTS_MAX: usize = 1_000;
}

command!(RecordUsage => UsageResults, "cmd.meterer.usage.record.v1");

/// How a billing kind is metered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MeteringConfig {
    /// The billing kind.
    pub billing_kind: BillingKind,
    /// How finely it is counted, from the next day metered on.
    pub granularity: Granularity,
    /// Days after which its records are deleted; what is summed by day is kept. 35 to 3 650.
    pub retention_days: i32,
}

/// How is each billing kind metered? Operators only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListMeteringConfig {
    /// Whose: an operator's.
    pub scope: Scope,
}

query!(ListMeteringConfig => Page<MeteringConfig>, "qry.meterer.metering-config.list.v1");

/// Change how a billing kind is metered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigureMetering {
    /// What is to hold.
    pub config: MeteringConfig,
    /// Who says so.
    pub actor: Actor,
}

command!(ConfigureMetering => MeteringConfig, "cmd.meterer.metering-config.set.v1");

/// Meter a complete day, or meter it again. Idempotent; the day's records become what is known now of that day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MeterDay {
    /// Which day.
    pub day: NaiveDate,
    /// Who says so.
    pub actor: Actor,
}

command!(MeterDay => MeteredDay, "cmd.meterer.day.meter.v1");

/// What metering a day came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MeteredDay {
    /// The day.
    pub day: NaiveDate,
    /// Records of the day.
    pub records: u64,
    /// How many of them were added, changed or removed just now.
    pub changed: u64,
    /// Resources that could not be metered.
    pub unmetered: u64,
}

/// A day was metered, and something changed by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DayMetered {
    /// What it came to.
    pub day: MeteredDay,
}

impl Message for DayMetered {
    const SUBJECT: &'static str = "evt.meterer.day.metered.v1";
}

impl Event for DayMetered {}

/// Usage was rejected for differing from what was already recorded under its id.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct UsageConflicted {
    /// What was rejected.
    pub conflict: UsageConflict,
}

impl Message for UsageConflicted {
    const SUBJECT: &'static str = "evt.meterer.usage.conflicted.v1";
}

impl Event for UsageConflicted {
    fn tenant(&self) -> Option<&TenantId> {
        self.conflict.tenant_id.as_ref()
    }
}

/// Meter every complete day that is not yet metered, or whose resources turned out to be different.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MeterDays {}

impl Message for MeterDays {
    const SUBJECT: &'static str = "job.meterer.days.meter.v1";
}

impl Job for MeterDays {}

/// Delete what is older than its retention.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApplyRetention {}

impl Message for ApplyRetention {
    const SUBJECT: &'static str = "job.meterer.retention.apply.v1";
}

impl Job for ApplyRetention {}

/// Count what waited for a deployment that is known by now, a part of it at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseUsage {
    /// Which deployment.
    pub deployment_id: DeploymentId,
}

impl Message for ReleaseUsage {
    const SUBJECT: &'static str = "job.meterer.usage.release.v1";
}

impl Job for ReleaseUsage {}
