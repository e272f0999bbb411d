//! What something would cost.

use std::collections::BTreeMap;

use axum::extract::State;
use contracts::{
    biller::MakeQuote,
    ids::{BillingKind, Code},
};
use messaging::Nats;
use money::Quantity;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    auth::Caller,
    input::{Date, Json, at_most, present},
    problem::Failure,
    reply::Reply,
};

/// Most add-ons of a quote; a subscription takes fewer.
const ADDONS_MAX: usize = 100;
/// Most billing kinds that usage is projected for.
const KINDS_MAX: usize = 100;

/// What is to be priced.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    /// The plan, in its active version.
    plan_code: Code,
    /// Add-ons; a code may stand more than once.
    #[serde(default)]
    #[schemars(length(max = 100))]
    addons: Vec<Code>,
    /// Base units a month by billing kind, such as hours, gigabytes, tokens.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 100))]
    projected_usage: BTreeMap<BillingKind, Quantity>,
    /// The first day; left out: today.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Date")]
    starts_on: Option<Date>,
}

pub(crate) async fn make(
    State(nats): State<Nats>,
    caller: Caller,
    Json(body): Json<Wish>,
) -> Result<Reply, Failure> {
    at_most(ADDONS_MAX, body.addons.len(), "/addons")?;
    at_most(KINDS_MAX, body.projected_usage.len(), "/projected_usage")?;
    let query = MakeQuote {
        scope: caller.scope(),
        plan_code: body.plan_code,
        addons: body.addons,
        projected_usage: body.projected_usage,
        starts_on: body.starts_on.map(|Date(day)| day),
    };
    Ok(nats.query(&query).await?.into())
}
