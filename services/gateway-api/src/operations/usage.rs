//! How much is used: asked about, sent in, metered.

use axum::routing::on;
use contracts::{
    ids::DeploymentId,
    meterer::{
        DeploymentUsage, MeteredDay, MeteringConfig, Unmetered, UsageConflict, UsageProducer as Producer,
        UsageReport, UsageResults,
    },
    paging::Page,
};

use crate::{
    input::BODY_BYTES_LARGE,
    operation::{
        Operation, PathKind,
        Role::{Operator, Tenant, UsageProducer},
        schema_of, tenant_schema,
    },
    routes::{
        metering::{self, Metering},
        recorded, usage,
    },
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/api/v1/usage", "get_usage", Tenant, |m| on(m, usage::show))
            .summary(
                "What was used, by kind; LLM usage also by model and by day. Yours; for operators anyone's, or \
                 everyone's of at most 31 days.",
            )
            .query("deployment", "Of the deployment with this id only.", schema_of::<DeploymentId>)
            .query("tenant", "Of this tenant only. For operators; others may name themselves.", tenant_schema)
            .in_period()
            .answers::<UsageReport>(),
        Operation::get("/api/v1/usage/deployments", "list_deployment_usage", Tenant, |m| {
            on(m, usage::by_deployment)
        })
        .summary("What each deployment used; those that used nothing are left out.")
        .in_period()
        .paged()
        .answers::<Page<DeploymentUsage>>(),
        Operation::get("/api/v1/usage/unmetered", "list_unmetered", Tenant, |m| on(m, usage::unmetered))
            .summary("Resources that could not be metered, by day, and why.")
            .query("deployment", "Of the deployment with this id only.", schema_of::<DeploymentId>)
            .in_period()
            .paged()
            .answers::<Page<Unmetered>>(),
        Operation::get("/api/v1/usage/conflicts", "list_usage_conflicts", Tenant, |m| on(m, usage::conflicts))
            .summary("LLM usage that was rejected for differing from what was recorded under its id, newest first.")
            .query("deployment", "Of the deployment with this id only.", schema_of::<DeploymentId>)
            .paged()
            .answers::<Page<UsageConflict>>(),
        Operation::get("/api/v1/usage/producers", "list_usage_producers", Operator, |m| {
            on(m, usage::producers)
        })
        .summary("How far the numbered messages of each producer of LLM usage have come, and which are missing.")
        .paged()
        .answers::<Page<Producer>>(),
        Operation::get("/api/v1/usage/metering", "list_metering", Operator, |m| on(m, metering::list))
            .summary("How each billing kind is metered.")
            .answers::<Page<MeteringConfig>>(),
        Operation::post("/api/v1/usage/metering/{kind}", "configure_metering", Operator, |m| {
            on(m, metering::configure)
        })
        .summary("Changes how a billing kind is metered.")
        .path("kind", PathKind::BillingKind)
        .body::<Metering>(r#"{"granularity":"hourly","retention_days":400}"#)
        .answers::<MeteringConfig>(),
        Operation::post("/api/v1/usage/days/{day}/meter", "meter_day", Operator, |m| {
            on(m, metering::meter_day)
        })
        .summary("Meters a complete day, or meters it again. Doing it twice changes nothing.")
        .path("day", PathKind::Day)
        .answers::<MeteredDay>(),
        Operation::post("/api/v1/integrations/llm-usage", "record_llm_usage", UsageProducer, |m| {
            on(m, recorded::record)
        })
        .summary(
            "Takes priced LLM usage: one event, or 1 to 1 000 in `events`, and says what became of each. \
             An event that comes alone and cannot be read is refused with 422.",
        )
        .body_of(
            recorded::schema,
            r#"{"events":[{"gateway_request_id":"req-0001","tenant_id":"acme","deployment_id":"0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d","provider":"anthropic","model":"claude-sonnet-4","prompt_tokens":1200,"completion_tokens":340,"charge":"0.0125","currency":"AUD","occurred_at":"2026-11-24T13:20:00Z"}]}"#,
            BODY_BYTES_LARGE,
        )
        .answers::<UsageResults>(),
    ]
}
