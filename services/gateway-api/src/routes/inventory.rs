//! Resources.

use axum::extract::State;
use contracts::{
    ids::{DeploymentId, ResourceId},
    syncer::{ClassifyResource, GetResource, LinkResource, ListResources},
};
use messaging::Nats;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{classify::Classification, tenant::named_tenant};
use crate::{
    auth::Caller,
    input::{EffectKey, InPath, Json, Nullable, Parameters, Text},
    problem::Failure,
    reply::Reply,
};

pub(crate) async fn list(
    State(nats): State<Nats>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Reply, Failure> {
    let query = ListResources {
        scope: caller.scope(),
        kind: parameters.optional("kind")?,
        status: parameters.optional::<Text<64>>("status")?.map(String::from),
        project_id: parameters.optional("project")?,
        deployment_id: parameters.optional("deployment")?,
        tenant_id: named_tenant(&caller, &parameters)?,
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

/// Which deployment a resource is part of.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Link {
    /// The deployment; `null`: none.
    deployment_id: Nullable<DeploymentId>,
}

pub(crate) async fn link(
    State(nats): State<Nats>,
    caller: Caller,
    InPath(id): InPath<ResourceId>,
    EffectKey(key): EffectKey,
    Json(body): Json<Link>,
) -> Result<Reply, Failure> {
    let command = LinkResource { id, deployment_id: body.deployment_id.0, actor: caller.actor() };
    Ok(nats.command(&command, &key).await?.into())
}
