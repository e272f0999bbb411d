//! How use is metered, and metering a day now.

use axum::extract::State;
use contracts::{
    ids::BillingKind,
    meterer::{ConfigureMetering, Granularity, ListMeteringConfig, MeterDay, MeteringConfig},
};
use messaging::Nats;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    auth::Caller,
    input::{Date, EffectKey, InPath, Json, Whole},
    problem::Failure,
    reply::Reply,
};

pub(crate) async fn list(State(nats): State<Nats>, caller: Caller) -> Result<Reply, Failure> {
    Ok(nats.query(&ListMeteringConfig { scope: caller.scope() }).await?.into())
}

/// How a billing kind is to be metered.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metering {
    /// How finely it is counted, from the next day metered on.
    granularity: Granularity,
    /// Days after which its records are deleted; what is summed by day is kept.
    retention_days: Whole<35, 3_650>,
}

pub(crate) async fn configure(
    State(nats): State<Nats>,
    caller: Caller,
    InPath(billing_kind): InPath<BillingKind>,
    EffectKey(key): EffectKey,
    Json(body): Json<Metering>,
) -> Result<Reply, Failure> {
    let retention_days = i32::try_from(body.retention_days.get()).expect("ten years of days fit 32 bits");
    let config = MeteringConfig { billing_kind, granularity: body.granularity, retention_days };
    Ok(nats.command(&ConfigureMetering { config, actor: caller.actor() }, &key).await?.into())
}

pub(crate) async fn meter_day(
    State(nats): State<Nats>,
    caller: Caller,
    InPath(Date(day)): InPath<Date>,
    EffectKey(key): EffectKey,
) -> Result<Reply, Failure> {
    Ok(nats.command(&MeterDay { day, actor: caller.actor() }, &key).await?.into())
}
