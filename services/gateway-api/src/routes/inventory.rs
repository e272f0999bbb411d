//! Resources.

use axum::extract::State;
use contracts::{
    Problem, TenantId,
    ids::ResourceId,
    syncer::{ClassifyResource, GetResource, ListResources},
};
use messaging::Nats;

use super::classify::Classification;
use crate::{
    auth::Caller,
    input::{EffectKey, InPath, Json, Parameters, Text},
    problem::Failure,
    reply::Reply,
};

pub(crate) async fn list(
    State(nats): State<Nats>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Reply, Failure> {
    let tenant_id: Option<TenantId> = parameters.optional("tenant")?;
    // Asking for another tenant's resources is a mistake to point out, not an empty list to return.
    if !caller.is_operator() && tenant_id.as_ref().is_some_and(|tenant| tenant != caller.tenant()) {
        return Err(Problem::unprocessable("tenant", "names a tenant that is not yours").into());
    }
    let query = ListResources {
        scope: caller.scope(),
        kind: parameters.optional("kind")?,
        status: parameters.optional::<Text<64>>("status")?.map(String::from),
        project_id: parameters.optional("project")?,
        deployment_id: parameters.optional("deployment")?,
        tenant_id,
        page: parameters.page()?,
    };
    Ok(nats.query(&query).await?.into())
}

pub(crate) async fn show(
    State(nats): State<Nats>,
    caller: Caller,
    InPath(id): InPath<ResourceId>,
) -> Result<Reply, Failure> {
    Ok(nats.query(&GetResource { scope: caller.scope(), id }).await?.into())
}

pub(crate) async fn classify(
    State(nats): State<Nats>,
    caller: Caller,
    InPath(id): InPath<ResourceId>,
    EffectKey(key): EffectKey,
    Json(body): Json<Classification>,
) -> Result<Reply, Failure> {
    let command = ClassifyResource {
        id,
        tenant_id: body.tenant_id.0,
        purpose: body.purpose.map(String::from),
        actor: caller.actor(),
    };
    Ok(nats.command(&command, &key).await?.into())
}
