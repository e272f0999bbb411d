//! Deployments, their lifecycle and their subscriptions.

use axum::extract::State;
use contracts::{
    Problem, TenantId,
    biller::{
        CreateDeployment, Deployment, DeploymentState, GetDeployment, ListDeployments, LlmMode,
        MigrateSubscription, RepublishDeployments, SetBillingActionSuspended, SubscribeDeployment,
        TransitionDeployment,
    },
    ids::{Code, DeploymentId, PlanVersionId, Slug},
};
use messaging::Nats;
use schemars::JsonSchema;
use serde::Deserialize;

use super::tenant::named_tenant;
use crate::{
    auth::Caller,
    input::{EffectKey, InPath, Json, Parameters, Text, Whole, at_most, present},
    problem::Failure,
    reply::Reply,
};

/// Where deployments are found.
const DEPLOYMENTS: &str = "/api/v1/deployments";
/// Most add-ons at once.
const ADDONS_MAX: usize = 32;

pub(crate) async fn list(
    State(nats): State<Nats>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Reply, Failure> {
    let query = ListDeployments {
        scope: caller.scope(),
        state: parameters.optional("state")?,
        tenant_id: named_tenant(&caller, &parameters)?,
        page: parameters.page()?,
    };
    Ok(nats.query(&query).await?.into())
}

pub(crate) async fn show(
    State(nats): State<Nats>,
    caller: Caller,
    InPath(id): InPath<DeploymentId>,
) -> Result<Reply, Failure> {
    Ok(nats.query(&GetDeployment { scope: caller.scope(), id }).await?.into())
}

/// A deployment to create.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDeployment {
    /// Whose it is. Operators say it; everyone else creates their own and does not.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TenantId")]
    tenant_id: Option<TenantId>,
    /// Its name within the tenant; taken once.
    slug: Slug,
    /// Its name for people.
    display_name: Text<255>,
    /// Region slug of the provider.
    region: Slug,
    /// How it gets at language models; left out: not at all.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LlmMode")]
    llm_mode: Option<LlmMode>,
    /// The template it is made from.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Code")]
    template_code: Option<Code>,
    /// That template's version.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Whole<1, 1_000_000>")]
    template_version: Option<Whole<1, 1_000_000>>,
    /// The plan to subscribe to; required with add-ons or a trial.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Code")]
    plan_code: Option<Code>,
    /// Add-ons to attach; a code may stand more than once.
    #[serde(default)]
    #[schemars(length(max = 100))]
    addons: Vec<Code>,
    /// Days of trial from now. Operators grant it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Whole<1, 365>")]
    trial_days: Option<Whole<1, 365>>,
}

pub(crate) async fn create(
    State(nats): State<Nats>,
    caller: Caller,
    EffectKey(key): EffectKey,
    Json(body): Json<NewDeployment>,
) -> Result<Reply, Failure> {
    at_most(ADDONS_MAX, body.addons.len(), "/addons")?;
    let command = CreateDeployment {
        scope: caller.scope(),
        tenant_id: owner(&caller, body.tenant_id)?,
        slug: body.slug,
        display_name: body.display_name.into(),
        region: body.region.into(),
        llm_mode: body.llm_mode.unwrap_or(LlmMode::Disabled),
        template_code: body.template_code,
        template_version: body.template_version.map(narrow),
        plan_code: body.plan_code,
        addons: body.addons,
        trial_days: body.trial_days.map(narrow),
        actor: caller.actor(),
    };
    let replied = nats.command(&command, &key).await?;
    Ok(Reply::created_in(DEPLOYMENTS, replied, |deployment: Deployment| deployment.id.to_string()))
}

/// Whose a new deployment is: operators own none and have to say; everyone else has no say.
fn owner(caller: &Caller, named: Option<TenantId>) -> Result<TenantId, Failure> {
    match (caller.is_operator(), named) {
        (true, Some(tenant)) => Ok(tenant),
        (false, None) => Ok(caller.tenant().clone()),
        (true, None) => Err(Problem::unprocessable("/tenant_id", "is required of operators").into()),
        (false, Some(_)) => {
            Err(Problem::unprocessable("/tenant_id", "is for operators; yours is your token's").into())
        }
    }
}

/// A number in the type of the message's field.
fn narrow<T: TryFrom<i64, Error: std::fmt::Debug>, const MIN: i64, const MAX: i64>(
    number: Whole<MIN, MAX>,
) -> T {
    T::try_from(number.get()).expect("the bounds of the number are within the field's")
}

/// The state to go to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transition {
    /// The state.
    to: DeploymentState,
    /// Why.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Text<1_000>")]
    reason: Option<Text<1_000>>,
}

pub(crate) async fn transition(
    State(nats): State<Nats>,
    caller: Caller,
    InPath(id): InPath<DeploymentId>,
    EffectKey(key): EffectKey,
    Json(body): Json<Transition>,
) -> Result<Reply, Failure> {
    let command = TransitionDeployment {
        scope: caller.scope(),
        id,
        to: body.to,
        reason: body.reason.map(String::from),
        actor: caller.actor(),
    };
    Ok(nats.command(&command, &key).await?.into())
}

/// What to subscribe to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSubscription {
    /// The plan, in its active version.
    plan_code: Code,
    /// Add-ons to attach; a code may stand more than once.
    #[serde(default)]
    #[schemars(length(max = 100))]
    addons: Vec<Code>,
}

pub(crate) async fn subscribe(
    State(nats): State<Nats>,
    caller: Caller,
    InPath(id): InPath<DeploymentId>,
    EffectKey(key): EffectKey,
    Json(body): Json<NewSubscription>,
) -> Result<Reply, Failure> {
    at_most(ADDONS_MAX, body.addons.len(), "/addons")?;
    let command = SubscribeDeployment {
        scope: caller.scope(),
        id,
        plan_code: body.plan_code,
        addons: body.addons,
        actor: caller.actor(),
    };
    Ok(nats.command(&command, &key).await?.into())
}

/// The plan version to go to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Migration {
    /// The version; active or retired, in the same currency.
    plan_version_id: PlanVersionId,
    /// Why.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Text<1_000>")]
    reason: Option<Text<1_000>>,
}

pub(crate) async fn migrate(
    State(nats): State<Nats>,
    caller: Caller,
    InPath(id): InPath<DeploymentId>,
    EffectKey(key): EffectKey,
    Json(body): Json<Migration>,
) -> Result<Reply, Failure> {
    let command = MigrateSubscription {
        id,
        plan_version_id: body.plan_version_id,
        reason: body.reason.map(String::from),
        actor: caller.actor(),
    };
    Ok(nats.command(&command, &key).await?.into())
}

/// Whether billing may act by itself.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BillingActions {
    /// Whether automatic billing actions are kept away.
    suspended: bool,
    /// Why.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Text<1_000>")]
    reason: Option<Text<1_000>>,
}

pub(crate) async fn set_billing_actions(
    State(nats): State<Nats>,
    caller: Caller,
    InPath(id): InPath<DeploymentId>,
    EffectKey(key): EffectKey,
    Json(body): Json<BillingActions>,
) -> Result<Reply, Failure> {
    let command = SetBillingActionSuspended {
        id,
        suspended: body.suspended,
        reason: body.reason.map(String::from),
        actor: caller.actor(),
    };
    Ok(nats.command(&command, &key).await?.into())
}

pub(crate) async fn republish(
    State(nats): State<Nats>,
    caller: Caller,
    EffectKey(key): EffectKey,
) -> Result<Reply, Failure> {
    Ok(nats.command(&RepublishDeployments { actor: caller.actor() }, &key).await?.into())
}
