//! What there is at the provider.

use axum::routing::on;
use contracts::{
    ids::{DeploymentId, ProjectId},
    outbox::Republished,
    paging::Page,
    syncer::{ListingStatus, Project, Resource, ResourceDetail, ResourceKind},
};

use crate::{
    operation::{
        Operation,
        PathKind::{self, Listing},
        Role::{Operator, Tenant},
        schema_of, tenant_schema, text_schema,
    },
    routes::{
        classify::Classification,
        inventory::{self, Link},
        listings, outbox, projects,
    },
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
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
        Operation::post("/api/v1/inventory/{id}/link", "link_resource", Operator, |m| on(m, inventory::link))
            .summary("Says which deployment a resource is part of, and so whose it is; or that it is part of none.")
            .path("id", PathKind::Resource)
            .body::<Link>(r#"{"deployment_id":"0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d"}"#)
            .answers::<Resource>(),
        Operation::post("/api/v1/inventory/republish", "republish_inventory", Operator, |m| {
            on(m, outbox::republish_state)
        })
        .summary("Tells the present state of every resource again: fills a read model that was lost.")
        .answers::<Republished>(),
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
    ]
}
