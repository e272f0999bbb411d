//! LLM usage that comes by HTTP, in the producer's own words: no number of an event is read here.

use axum::extract::State;
use contracts::{
    Problem,
    llm_gateway::UsageRecorded,
    meterer::{RecordUsage, UsageOutcome, UsageResult, UsageResults},
    problem::FieldProblem,
};
use messaging::Nats;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    auth::Caller,
    input::{EffectKey, JsonText},
    problem::Failure,
    reply::Reply,
};

/// Several events at once; each is judged by itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UsageBatch {
    /// The events.
    #[schemars(with = "Vec<UsageRecorded>", length(min = 1, max = 1_000))]
    events: Vec<Box<RawValue>>,
}

/// One event, or several.
pub(crate) fn schema(generator: &mut SchemaGenerator) -> Schema {
    let (one, several) =
        (generator.subschema_for::<UsageRecorded>(), generator.subschema_for::<UsageBatch>());
    schemars::json_schema!({ "oneOf": [one, several] })
}

pub(crate) async fn record(
    State(nats): State<Nats>,
    caller: Caller,
    EffectKey(key): EffectKey,
    body: JsonText,
) -> Result<Reply, Failure> {
    let alone = !body.has("events");
    let events = if alone { vec![body.into_raw()?] } else { body.parse::<UsageBatch>()?.events };
    if !(1..=RecordUsage::EVENTS_MAX).contains(&events.len()) {
        return Err(Problem::unprocessable(
            "/events",
            format!("must hold 1 to {} events", RecordUsage::EVENTS_MAX),
        )
        .into());
    }
    let replied = nats.command(&RecordUsage { events, actor: caller.actor() }, &key).await?;
    if alone {
        refuse_invalid(&replied.body)?;
    }
    Ok(replied.into())
}

/// An event that came alone and cannot be read is a body that cannot be read.
fn refuse_invalid(body: &[u8]) -> Result<(), Failure> {
    let answer: UsageResults = serde_json::from_slice(body).map_err(|error| {
        tracing::error!(%error, "what became of an event does not fit its type");
        Problem::internal()
    })?;
    match answer.results.into_iter().next() {
        Some(UsageResult { outcome: UsageOutcome::Invalid, errors, detail, .. }) if errors.is_empty() => {
            let detail = detail.unwrap_or_else(|| "is no usage event".to_owned());
            Err(Failure::fields(vec![FieldProblem { field: String::new(), detail }]))
        }
        Some(UsageResult { outcome: UsageOutcome::Invalid, errors, .. }) => Err(Failure::fields(errors)),
        Some(_) | None => Ok(()),
    }
}
