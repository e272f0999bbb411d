//! Everything that can be asked of this gateway. The router and the document are both made from this table, so
//! neither can know an operation that the other does not.

use std::sync::LazyLock;

use axum::routing::on;
use contracts::{
    ids::{DeploymentId, ProjectId},
    outbox::Republished,
    paging::Page,
    parked::{ParkedMessage, ParkedStatus, ParkedSummary},
    syncer::{ListingStatus, Project, Resource, ResourceDetail, ResourceKind},
};

use crate::{
    events,
    operation::{
        Content, Operation, PathKind, Role, owner_schema, schema_of, tenant_schema, text_schema, time_schema,
    },
    routes::{
        classify::Classification,
        documents,
        health::{self, Health},
        inventory, listings, outbox, parked, projects,
    },
};

/// Where the document is served.
pub const OPENAPI_PATH: &str = "/api/v1/openapi.json";

static TABLE: LazyLock<Vec<Operation>> = LazyLock::new(table);

/// The table.
pub fn operations() -> &'static [Operation] {
    &TABLE
}

fn table() -> Vec<Operation> {
    use PathKind::{Listing, Owner, Parked};
    use Role::{Operator, Public, Tenant};

    vec![
        Operation::get("/api/health", "get_health", Public, |m| on(m, health::show))
            .summary("Whether the gateway answers. Needs nothing else to be up.")
            .answers::<Health>(),
        Operation::get(OPENAPI_PATH, "get_openapi", Public, |m| on(m, documents::openapi))
            .summary("This document."),
        Operation::get("/api/docs", "get_docs", Public, |m| on(m, documents::page))
            .summary("This document as a page to read.")
            .content(Content::Html),
        Operation::get("/api/v1/inventory", "list_resources", Tenant, |m| on(m, inventory::list))
            .summary("Resources; yours, or everyone's for operators. Deleted ones only with status=deleted.")
            .query("kind", "Of this kind only.", schema_of::<ResourceKind>)
            .query("status", "With this status only, as the provider writes it; or deleted.", text_schema)
            .query("project", "In the project with this id only.", schema_of::<ProjectId>)
            .query("deployment", "Of the deployment with this id only.", schema_of::<DeploymentId>)
            .query("tenant", "Of this tenant only. For operators; others may name themselves.", tenant_schema)
            .paged()
            .answers::<Page<Resource>>(),
        Operation::get("/api/v1/inventory/listings", "list_listings", Operator, |m| on(m, listings::list))
            .summary("How each listing of the provider stands, and what of it is held back.")
            .answers::<Page<ListingStatus>>(),
        Operation::post("/api/v1/inventory/listings/{listing}/confirm", "confirm_listing", Operator, |m| {
            on(m, listings::confirm)
        })
        .summary("Says that what a held listing lost is really gone.")
        .path("listing", Listing)
        .answers::<ListingStatus>(),
        Operation::post("/api/v1/inventory/listings/{listing}/sync", "sync_listing", Operator, |m| {
            on(m, listings::sync)
        })
        .summary("Syncs a listing now, besides its schedule.")
        .path("listing", Listing)
        .answers::<ListingStatus>(),
        Operation::get("/api/v1/inventory/{id}", "get_resource", Tenant, |m| on(m, inventory::show))
            .summary("One resource with its last hundred events.")
            .path("id", PathKind::Resource)
            .answers::<ResourceDetail>(),
        Operation::post("/api/v1/inventory/{id}/classify", "classify_resource", Operator, |m| {
            on(m, inventory::classify)
        })
        .summary("Says whose a DNS zone outside every project is, and what it is for.")
        .path("id", PathKind::Resource)
        .body::<Classification>(r#"{"tenant_id":"acme","purpose":"shop"}"#)
        .answers::<Resource>(),
        Operation::get("/api/v1/projects", "list_projects", Tenant, |m| on(m, projects::list))
            .summary("Projects; yours, or everyone's for operators.")
            .paged()
            .answers::<Page<Project>>(),
        Operation::post("/api/v1/projects/{id}/classify", "classify_project", Operator, |m| {
            on(m, projects::classify)
        })
        .summary("Says whose a project is and what it is for. Its resources follow at once.")
        .path("id", PathKind::Project)
        .body::<Classification>(r#"{"tenant_id":"acme","purpose":"shop"}"#)
        .answers::<Project>(),
        Operation::get("/api/v1/events", "stream_events", Tenant, |m| on(m, events::stream))
            .summary("Events as they happen, as server-sent events; yours, or everyone's for operators.")
            .query(
                "subject",
                "Only events of this subject, such as evt.syncer.>; * is one token.",
                |_| schemars::json_schema!({ "type": "string", "maxLength": 255, "pattern": "^evt(\\.|$)" }),
            )
            .header(
                "Last-Event-ID",
                "The last event seen; what came after it is sent first, after an event gap if some of it is gone.",
                |_| schemars::json_schema!({ "type": "string", "pattern": "^[0-9]{1,20}$" }),
            )
            .content(Content::EventStream)
            .may_answer(429),
        Operation::get("/api/v1/parked", "list_parked", Operator, |m| on(m, parked::list))
            .summary("Messages that could not be handled; of one service, or of all, one after another.")
            .query("service", "Parked by this service only.", owner_schema)
            .query("status", "With this status; parked when left out.", schema_of::<ParkedStatus>)
            .paged()
            .answers::<Page<ParkedSummary>>(),
        Operation::get("/api/v1/parked/{service}/{id}", "get_parked", Operator, |m| on(m, parked::show))
            .summary("One parked message with its headers and body.")
            .path("service", Owner)
            .path("id", Parked)
            .answers::<ParkedMessage>(),
        Operation::post("/api/v1/parked/{service}/{id}/replay", "replay_parked", Operator, |m| {
            on(m, parked::replay)
        })
        .summary("Has a parked message handled again.")
        .path("service", Owner)
        .path("id", Parked)
        .answers::<ParkedSummary>(),
        Operation::post("/api/v1/parked/{service}/{id}/dismiss", "dismiss_parked", Operator, |m| {
            on(m, parked::dismiss)
        })
        .summary("Leaves a parked message unhandled for good.")
        .path("service", Owner)
        .path("id", Parked)
        .answers::<ParkedSummary>(),
        Operation::post("/api/v1/outbox/{service}/republish", "republish_outbox", Operator, |m| {
            on(m, outbox::republish)
        })
        .summary(
            "Publishes what a service published before again, same ids and bytes: rebuilds a lost stream.",
        )
        .path("service", Owner)
        .query(
            "since",
            "Only what was written at or after this time, such as 2026-11-24T13:20:00Z.",
            time_schema,
        )
        .answers::<Republished>(),
        Operation::post("/api/v1/inventory/republish", "republish_inventory", Operator, |m| {
            on(m, outbox::republish_state)
        })
        .summary("Tells the present state of every resource again: fills a read model that was lost.")
        .answers::<Republished>(),
    ]
}
