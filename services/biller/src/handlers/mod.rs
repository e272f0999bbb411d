//! Everything this service reacts to; read this file first.

mod advance_subscriptions;
mod create_addon;
mod create_deployment;
mod create_plan;
mod create_plan_version;
mod get_deployment;
mod get_plan;
mod last_resource;
mod list_addons;
mod list_deployments;
mod list_plans;
mod list_resource_prices;
mod make_quote;
mod migrate_subscription;
mod publish_plan_version;
mod republish_deployments;
mod set_billing_action_suspended;
mod set_resource_price;
mod subscribe_deployment;
mod transition_deployment;

use contracts::{
    Service,
    biller::{
        AddonCreated, AdvanceSubscriptions, CreateAddon, CreateDeployment, CreatePlan, CreatePlanVersion,
        DeploymentCreated, DeploymentMigrated, DeploymentSubscribed, DeploymentTransitioned,
        DeploymentUpdated, GetDeployment, GetPlan, ListAddons, ListDeployments, ListPlans,
        ListResourcePrices, MakeQuote, MigrateSubscription, PlanCreated, PlanVersionCreated,
        PlanVersionPublished, PublishPlanVersion, RepublishDeployments, ResourcePriceSet,
        SetBillingActionSuspended, SetResourcePrice, SubscribeDeployment, TransitionDeployment,
    },
    syncer::LastResource,
};
use messaging::Subscriptions;

use crate::Biller;

/// The table: one line per message.
pub fn subscriptions() -> Subscriptions<Biller> {
    Subscriptions::new(Service::Biller)
        .state::<LastResource>() // last_resource.rs
        .query::<ListPlans>() // list_plans.rs
        .query::<GetPlan>() // get_plan.rs
        .query::<ListAddons>() // list_addons.rs
        .query::<ListResourcePrices>() // list_resource_prices.rs
        .query::<MakeQuote>() // make_quote.rs
        .command::<CreatePlan>() // create_plan.rs
        .command::<CreatePlanVersion>() // create_plan_version.rs
        .command::<PublishPlanVersion>() // publish_plan_version.rs
        .command::<CreateAddon>() // create_addon.rs
        .command::<SetResourcePrice>() // set_resource_price.rs
        .query::<ListDeployments>() // list_deployments.rs
        .query::<GetDeployment>() // get_deployment.rs
        .command::<CreateDeployment>() // create_deployment.rs
        .command::<TransitionDeployment>() // transition_deployment.rs
        .command::<SubscribeDeployment>() // subscribe_deployment.rs
        .command::<MigrateSubscription>() // migrate_subscription.rs
        .command::<SetBillingActionSuspended>() // set_billing_action_suspended.rs
        .job::<AdvanceSubscriptions>() // advance_subscriptions.rs
        .command::<RepublishDeployments>() // republish_deployments.rs
        .restates() // republish_deployments.rs
        .publishes::<PlanCreated>()
        .publishes::<PlanVersionCreated>()
        .publishes::<PlanVersionPublished>()
        .publishes::<AddonCreated>()
        .publishes::<ResourcePriceSet>()
        .publishes::<DeploymentCreated>()
        .publishes::<DeploymentTransitioned>()
        .publishes::<DeploymentSubscribed>()
        .publishes::<DeploymentMigrated>()
        .publishes::<DeploymentUpdated>()
}
