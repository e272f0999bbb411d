//! Everything this service reacts to; read this file first.

mod apply_retention;
mod configure_metering;
mod get_usage;
mod last_deployment;
mod last_resource;
mod list_deployment_usage;
mod list_metering_config;
mod list_unmetered;
mod list_usage_conflicts;
mod list_usage_producers;
mod meter_day;
mod meter_days;
mod record_usage;
mod release_usage;

use contracts::{
    Message, Service,
    biller::LastDeployment,
    llm_gateway::{UsageCorrected, UsageRecorded, UsageVoided},
    meterer::{
        ApplyRetention, ConfigureMetering, DayMetered, GetUsage, ListDeploymentUsage, ListMeteringConfig,
        ListUnmetered, ListUsageConflicts, ListUsageProducers, MeterDay, MeterDays, RecordUsage,
        ReleaseUsage, UsageConflicted,
    },
    streams::Stream,
    syncer::LastResource,
};
use messaging::Subscriptions;

use crate::Meterer;

/// What the LLM gateway publishes.
const USAGE: &[&str] = &[UsageRecorded::SUBJECT, UsageCorrected::SUBJECT, UsageVoided::SUBJECT];

/// The table: one line per message.
pub fn subscriptions() -> Subscriptions<Meterer> {
    Subscriptions::new(Service::Meterer)
        .history::<LastResource>() // last_resource.rs, as the next
        .state::<LastResource>()
        .state::<LastDeployment>() // last_deployment.rs
        .follows(Stream::Usage, USAGE) // ../ingest/follow.rs
        .job::<MeterDays>() // meter_days.rs
        .job::<ApplyRetention>() // apply_retention.rs
        .job::<ReleaseUsage>() // release_usage.rs
        .query::<GetUsage>() // get_usage.rs
        .query::<ListDeploymentUsage>() // list_deployment_usage.rs
        .query::<ListUnmetered>() // list_unmetered.rs
        .query::<ListMeteringConfig>() // list_metering_config.rs
        .query::<ListUsageConflicts>() // list_usage_conflicts.rs
        .query::<ListUsageProducers>() // list_usage_producers.rs
        .command::<RecordUsage>() // record_usage.rs
        .command::<MeterDay>() // meter_day.rs
        .command::<ConfigureMetering>() // configure_metering.rs
        .publishes::<DayMetered>()
        .publishes::<UsageConflicted>()
}
