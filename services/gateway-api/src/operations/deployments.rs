//! Deployments: what a tenant runs, and under which subscription.

use axum::routing::on;
use contracts::{
    biller::{Deployment, DeploymentDetail, DeploymentState},
    outbox::Republished,
    paging::Page,
};

use crate::{
    operation::{
        Operation, PathKind,
        Role::{Operator, Tenant},
        schema_of, tenant_schema,
    },
    routes::deployments::{self, BillingActions, Migration, NewDeployment, NewSubscription, Transition},
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/api/v1/deployments", "list_deployments", Tenant, |m| on(m, deployments::list))
            .summary("Deployments; yours, or everyone's for operators.")
            .query("state", "In this state only.", schema_of::<DeploymentState>)
            .query("tenant", "Of this tenant only. For operators; others may name themselves.", tenant_schema)
            .paged()
            .answers::<Page<Deployment>>(),
        Operation::post("/api/v1/deployments", "create_deployment", Tenant, |m| on(m, deployments::create))
            .summary("Creates a deployment, with a subscription if a plan is named.")
            .body::<NewDeployment>(
                r#"{"slug":"shop","display_name":"The shop","region":"syd1","llm_mode":"gateway","plan_code":"studio","addons":["storage_50gb"]}"#,
            )
            .creates_at("/api/v1/deployments/{id}")
            .answers::<Deployment>(),
        Operation::get("/api/v1/deployments/{id}", "get_deployment", Tenant, |m| on(m, deployments::show))
            .summary("One deployment with its subscription and its last hundred events.")
            .path("id", PathKind::Deployment)
            .answers::<DeploymentDetail>(),
        Operation::post("/api/v1/deployments/{id}/transition", "transition_deployment", Tenant, |m| {
            on(m, deployments::transition)
        })
        .summary(
            "Takes a deployment to another state. Tenants pause, resume and cancel their own; the rest is operators'.",
        )
        .path("id", PathKind::Deployment)
        .body::<Transition>(r#"{"to":"paused","reason":"closed for the winter"}"#)
        .may_answer(403)
        .answers::<Deployment>(),
        Operation::post("/api/v1/deployments/{id}/subscribe", "subscribe_deployment", Tenant, |m| {
            on(m, deployments::subscribe)
        })
        .summary("Subscribes a deployment that has no live subscription to a plan.")
        .path("id", PathKind::Deployment)
        .body::<NewSubscription>(r#"{"plan_code":"studio","addons":["storage_50gb"]}"#)
        .answers::<Deployment>(),
        Operation::post("/api/v1/deployments/{id}/migrate", "migrate_deployment", Operator, |m| {
            on(m, deployments::migrate)
        })
        .summary("Binds a deployment's subscription to another plan version.")
        .path("id", PathKind::Deployment)
        .body::<Migration>(
            r#"{"plan_version_id":"0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d","reason":"agreed by phone"}"#,
        )
        .answers::<Deployment>(),
        Operation::post(
            "/api/v1/deployments/{id}/billing-actions",
            "set_billing_actions",
            Operator,
            |m| on(m, deployments::set_billing_actions),
        )
        .summary("Keeps automatic billing actions away from a deployment, or no longer.")
        .path("id", PathKind::Deployment)
        .body::<BillingActions>(r#"{"suspended":true,"reason":"a dispute about the last invoice"}"#)
        .answers::<Deployment>(),
        Operation::post("/api/v1/deployments/republish", "republish_deployments", Operator, |m| {
            on(m, deployments::republish)
        })
        .summary("Tells the present state of every deployment again: fills a read model that was lost.")
        .answers::<Republished>(),
    ]
}
