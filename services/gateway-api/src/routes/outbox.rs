//! What was published, published again.

use axum::extract::State;
use contracts::{outbox::RepublishOutbox, syncer::RepublishResources};
use messaging::Nats;

use crate::{
    auth::Caller,
    input::{EffectKey, InPath, Owner, Parameters, Time},
    problem::Failure,
    reply::Reply,
};

pub(crate) async fn republish(
    State(nats): State<Nats>,
    caller: Caller,
    InPath(Owner(owner)): InPath<Owner>,
    parameters: Parameters,
    EffectKey(key): EffectKey,
) -> Result<Reply, Failure> {
    let since = parameters.optional("since")?.map(|Time(since)| since);
    Ok(nats.ask(owner, &RepublishOutbox { since, actor: caller.actor() }, Some(&key)).await?.into())
}

pub(crate) async fn republish_state(
    State(nats): State<Nats>,
    caller: Caller,
    EffectKey(key): EffectKey,
) -> Result<Reply, Failure> {
    Ok(nats.command(&RepublishResources { actor: caller.actor() }, &key).await?.into())
}
