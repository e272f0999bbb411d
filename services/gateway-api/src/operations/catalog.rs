//! What is sold, and what it would cost.

use axum::routing::on;
use contracts::{
    biller::{Addon, Plan, PlanDetail, PlanVersion, Quote, ResourcePrice},
    paging::Page,
};

use crate::{
    operation::{
        Operation,
        PathKind::{self, PlanVersion as PlanVersionId},
        Role::{Operator, Tenant},
    },
    routes::{
        catalog::{self, NewAddon, NewPlan, NewPlanVersion, NewPrice},
        quote::{self, Wish},
    },
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/api/v1/catalog/plans", "list_plans", Tenant, |m| on(m, catalog::plans))
            .summary("Plans, each with the version that new subscriptions get.")
            .paged()
            .answers::<Page<Plan>>(),
        Operation::get("/api/v1/catalog/plans/{code}", "get_plan", Tenant, |m| on(m, catalog::plan))
            .summary("One plan with every version, newest first; drafts for operators only.")
            .path("code", PathKind::Plan)
            .answers::<PlanDetail>(),
        Operation::post("/api/v1/catalog/plans", "create_plan", Operator, |m| on(m, catalog::create_plan))
            .summary("Makes a plan. It has no version yet.")
            .body::<NewPlan>(r#"{"code":"team","name":"Team"}"#)
            .creates_at("/api/v1/catalog/plans/{code}")
            .answers::<Plan>(),
        Operation::post("/api/v1/catalog/plans/{code}/versions", "create_plan_version", Operator, |m| {
            on(m, catalog::create_version)
        })
        .summary("Makes a draft of a plan's next version, with its items.")
        .path("code", PathKind::Plan)
        .body::<NewPlanVersion>(
            r#"{"base_price_cents":8000,"currency":"AUD","items":[{"resource_kind":"droplet_hours","included_qty":2232,"overage_unit":"hour","overage_price_cents":1},{"resource_kind":"llm_tokens","included_qty":2000000,"overage_unit":"1k_tokens","overage_price_cents":1,"hard_cap_qty":"50000000"}]}"#,
        )
        .creates()
        .answers::<PlanVersion>(),
        Operation::post("/api/v1/catalog/versions/{id}/publish", "publish_plan_version", Operator, |m| {
            on(m, catalog::publish_version)
        })
        .summary("Offers a draft from now on; the version before it retires. Subscribers stay on theirs.")
        .path("id", PlanVersionId)
        .answers::<PlanVersion>(),
        Operation::get("/api/v1/catalog/addons", "list_addons", Tenant, |m| on(m, catalog::addons))
            .summary("Add-ons.")
            .paged()
            .answers::<Page<Addon>>(),
        Operation::post("/api/v1/catalog/addons", "create_addon", Operator, |m| on(m, catalog::create_addon))
            .summary("Makes an add-on.")
            .body::<NewAddon>(
                r#"{"code":"storage_500gb","name":"500 GB of storage","resource_kind":"spaces_gb_month","qty":500,"price_cents":6000,"currency":"AUD"}"#,
            )
            .creates()
            .answers::<Addon>(),
        Operation::get("/api/v1/catalog/prices", "list_resource_prices", Tenant, |m| on(m, catalog::prices))
            .summary("Unit prices of what no plan item covers, past and future ones too.")
            .paged()
            .answers::<Page<ResourcePrice>>(),
        Operation::post("/api/v1/catalog/prices", "set_resource_price", Operator, |m| {
            on(m, catalog::set_price)
        })
        .summary("Sets the unit price of a billing kind from a day on. A day's price is set once.")
        .body::<NewPrice>(
            r#"{"resource_kind":"volume_gb_month","unit":"gb_month","unit_price_cents":15,"currency":"AUD","effective_from":"2027-01-01"}"#,
        )
        .creates()
        .answers::<ResourcePrice>(),
        Operation::ask("/api/v1/quote", "make_quote", Tenant, |m| on(m, quote::make))
            .summary("What a plan with add-ons and a month's usage would cost, line by line. Changes nothing.")
            .body::<Wish>(
                r#"{"plan_code":"studio","addons":["storage_50gb"],"projected_usage":{"spaces_gb_month":200,"droplet_hours":"1488"},"starts_on":"2026-05-20"}"#,
            )
            .answers::<Quote>(),
    ]
}
