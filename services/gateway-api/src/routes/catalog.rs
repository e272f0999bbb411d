//! What is sold: plans, their versions, add-ons and unit prices.

use axum::extract::State;
use contracts::{
    biller::{
        CreateAddon, CreatePlan, CreatePlanVersion, GetPlan, ListAddons, ListPlans, ListResourcePrices, Plan,
        PlanItem, PublishPlanVersion, ResourcePrice, SetResourcePrice, Unit,
    },
    ids::{BillingKind, Code, PlanVersionId},
};
use messaging::Nats;
use money::Currency;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    auth::Caller,
    input::{
        Date, EffectKey, InPath, Json, Object, Parameters, Price, Text, WrittenQuantity, at_most, present,
    },
    problem::Failure,
    reply::Reply,
};

/// Where plans are found.
const PLANS: &str = "/api/v1/catalog/plans";
/// Most items of a plan version.
const ITEMS_MAX: usize = 32;

pub(crate) async fn plans(
    State(nats): State<Nats>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Reply, Failure> {
    Ok(nats.query(&ListPlans { scope: caller.scope(), page: parameters.page()? }).await?.into())
}

pub(crate) async fn plan(
    State(nats): State<Nats>,
    caller: Caller,
    InPath(code): InPath<Code>,
) -> Result<Reply, Failure> {
    Ok(nats.query(&GetPlan { scope: caller.scope(), code }).await?.into())
}

pub(crate) async fn addons(
    State(nats): State<Nats>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Reply, Failure> {
    Ok(nats.query(&ListAddons { scope: caller.scope(), page: parameters.page()? }).await?.into())
}

pub(crate) async fn prices(
    State(nats): State<Nats>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Reply, Failure> {
    Ok(nats.query(&ListResourcePrices { scope: caller.scope(), page: parameters.page()? }).await?.into())
}

/// A plan to make.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPlan {
    /// Its code; taken once.
    code: Code,
    /// Its name for people.
    name: Text<255>,
}

pub(crate) async fn create_plan(
    State(nats): State<Nats>,
    caller: Caller,
    EffectKey(key): EffectKey,
    Json(body): Json<NewPlan>,
) -> Result<Reply, Failure> {
    let command = CreatePlan { code: body.code, name: body.name.into(), actor: caller.actor() };
    let replied = nats.command(&command, &key).await?;
    Ok(Reply::created_in(PLANS, replied, |plan: Plan| plan.code.into()))
}

/// What a plan version allows of one billing kind, and what more of it costs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPlanItem {
    /// The billing kind.
    resource_kind: BillingKind,
    /// Base units a month that the base price covers.
    included_qty: WrittenQuantity,
    /// What the overage price is per.
    overage_unit: Unit,
    /// Price of one unit beyond the allowance.
    overage_price_cents: Price,
    /// Base units a month beyond which nothing more is charged; left out: no limit.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "WrittenQuantity")]
    hard_cap_qty: Option<WrittenQuantity>,
}

impl From<NewPlanItem> for PlanItem {
    fn from(item: NewPlanItem) -> Self {
        Self {
            resource_kind: item.resource_kind,
            included_qty: item.included_qty.into(),
            overage_unit: item.overage_unit,
            overage_price_cents: item.overage_price_cents.into(),
            hard_cap_qty: item.hard_cap_qty.map(Into::into),
        }
    }
}

/// A plan version to make.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPlanVersion {
    /// Price of a month.
    base_price_cents: Price,
    /// The currency of all its prices.
    currency: Currency,
    /// At most one per billing kind.
    #[schemars(length(max = 32))]
    items: Vec<Object<NewPlanItem>>,
}

pub(crate) async fn create_version(
    State(nats): State<Nats>,
    caller: Caller,
    InPath(plan_code): InPath<Code>,
    EffectKey(key): EffectKey,
    Json(body): Json<NewPlanVersion>,
) -> Result<Reply, Failure> {
    at_most(ITEMS_MAX, body.items.len(), "/items")?;
    let command = CreatePlanVersion {
        plan_code,
        base_price_cents: body.base_price_cents.into(),
        currency: body.currency,
        items: body.items.into_iter().map(|Object(item)| item.into()).collect(),
        actor: caller.actor(),
    };
    Ok(Reply::created(nats.command(&command, &key).await?))
}

pub(crate) async fn publish_version(
    State(nats): State<Nats>,
    caller: Caller,
    InPath(id): InPath<PlanVersionId>,
    EffectKey(key): EffectKey,
) -> Result<Reply, Failure> {
    Ok(nats.command(&PublishPlanVersion { id, actor: caller.actor() }, &key).await?.into())
}

/// An add-on to make.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAddon {
    /// Its code; taken once.
    code: Code,
    /// Its name for people.
    name: Text<255>,
    /// The billing kind.
    resource_kind: BillingKind,
    /// Base units a month that it adds to the allowance.
    qty: WrittenQuantity,
    /// Price of a month.
    price_cents: Price,
    /// The currency of the price.
    currency: Currency,
}

pub(crate) async fn create_addon(
    State(nats): State<Nats>,
    caller: Caller,
    EffectKey(key): EffectKey,
    Json(body): Json<NewAddon>,
) -> Result<Reply, Failure> {
    let command = CreateAddon {
        code: body.code,
        name: body.name.into(),
        resource_kind: body.resource_kind,
        qty: body.qty.into(),
        price_cents: body.price_cents.into(),
        currency: body.currency,
        actor: caller.actor(),
    };
    Ok(Reply::created(nats.command(&command, &key).await?))
}

/// A unit price to set, for usage that no plan item covers.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPrice {
    /// The billing kind.
    resource_kind: BillingKind,
    /// What the price is per.
    unit: Unit,
    /// Price of one unit.
    unit_price_cents: Price,
    /// The currency of the price.
    currency: Currency,
    /// First day on which it is in force.
    effective_from: Date,
}

pub(crate) async fn set_price(
    State(nats): State<Nats>,
    caller: Caller,
    EffectKey(key): EffectKey,
    Json(body): Json<NewPrice>,
) -> Result<Reply, Failure> {
    let price = ResourcePrice {
        resource_kind: body.resource_kind,
        unit: body.unit,
        unit_price_cents: body.unit_price_cents.into(),
        currency: body.currency,
        effective_from: body.effective_from.0,
    };
    Ok(Reply::created(nats.command(&SetResourcePrice { price, actor: caller.actor() }, &key).await?))
}
