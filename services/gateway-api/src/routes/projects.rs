//! Projects.

use axum::extract::State;
use contracts::{
    ids::ProjectId,
    syncer::{ClassifyProject, ListProjects},
};
use messaging::Nats;

use super::classify::Classification;
use crate::{
    auth::Caller,
    input::{EffectKey, InPath, Json, Parameters},
    problem::Failure,
    reply::Reply,
};

pub(crate) async fn list(
    State(nats): State<Nats>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Reply, Failure> {
    Ok(nats.query(&ListProjects { scope: caller.scope(), page: parameters.page()? }).await?.into())
}

pub(crate) async fn classify(
    State(nats): State<Nats>,
    caller: Caller,
    InPath(id): InPath<ProjectId>,
    EffectKey(key): EffectKey,
    Json(body): Json<Classification>,
) -> Result<Reply, Failure> {
    let command = ClassifyProject {
        id,
        tenant_id: body.tenant_id.0,
        purpose: body.purpose.map(String::from),
        actor: caller.actor(),
    };
    Ok(nats.command(&command, &key).await?.into())
}
