//! How much was used.

use axum::extract::State;
use contracts::meterer::{
    GetUsage, ListDeploymentUsage, ListUnmetered, ListUsageConflicts, ListUsageProducers,
};
use messaging::Nats;

use super::tenant::named_tenant;
use crate::{
    auth::Caller,
    clock,
    input::{Parameters, Period},
    problem::Failure,
    reply::Reply,
};

pub(crate) async fn show(
    State(nats): State<Nats>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Reply, Failure> {
    let Period { from, to } = Period::of(&parameters, clock::today())?;
    let query = GetUsage {
        scope: caller.scope(),
        deployment_id: parameters.optional("deployment")?,
        tenant_id: named_tenant(&caller, &parameters)?,
        from,
        to,
    };
    Ok(nats.query(&query).await?.into())
}

pub(crate) async fn by_deployment(
    State(nats): State<Nats>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Reply, Failure> {
    let Period { from, to } = Period::of(&parameters, clock::today())?;
    let query = ListDeploymentUsage { scope: caller.scope(), from, to, page: parameters.page()? };
    Ok(nats.query(&query).await?.into())
}

pub(crate) async fn unmetered(
    State(nats): State<Nats>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Reply, Failure> {
    let Period { from, to } = Period::of(&parameters, clock::today())?;
    let query = ListUnmetered {
        scope: caller.scope(),
        deployment_id: parameters.optional("deployment")?,
        from,
        to,
        page: parameters.page()?,
    };
    Ok(nats.query(&query).await?.into())
}

pub(crate) async fn conflicts(
    State(nats): State<Nats>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Reply, Failure> {
    let query = ListUsageConflicts {
        scope: caller.scope(),
        deployment_id: parameters.optional("deployment")?,
        page: parameters.page()?,
    };
    Ok(nats.query(&query).await?.into())
}

pub(crate) async fn producers(
    State(nats): State<Nats>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Reply, Failure> {
    Ok(nats.query(&ListUsageProducers { scope: caller.scope(), page: parameters.page()? }).await?.into())
}
