//! The provider's listings: how they stand, and what an operator may tell them.

use axum::extract::State;
use contracts::syncer::{ConfirmListing, ListListings, Listing, RequestSync};
use messaging::Nats;

use crate::{
    auth::Caller,
    input::{EffectKey, InPath},
    problem::Failure,
    reply::Reply,
};

pub(crate) async fn list(State(nats): State<Nats>, caller: Caller) -> Result<Reply, Failure> {
    Ok(nats.query(&ListListings { scope: caller.scope() }).await?.into())
}

pub(crate) async fn confirm(
    State(nats): State<Nats>,
    caller: Caller,
    InPath(listing): InPath<Listing>,
    EffectKey(key): EffectKey,
) -> Result<Reply, Failure> {
    Ok(nats.command(&ConfirmListing { listing, actor: caller.actor() }, &key).await?.into())
}

pub(crate) async fn sync(
    State(nats): State<Nats>,
    caller: Caller,
    InPath(listing): InPath<Listing>,
    EffectKey(key): EffectKey,
) -> Result<Reply, Failure> {
    Ok(nats.command(&RequestSync { listing, actor: caller.actor() }, &key).await?.into())
}
