//! Control of the whole: account, clock, faults, log.

use std::collections::HashMap;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::{Answer, Refused, each, parse};
use crate::build;
use crate::faults::Fault;
use crate::kind::Kind;
use crate::rejected::Rejected;
use crate::server::Shared;

pub async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// Replaces the account. Faults, log and time stay.
pub async fn replace_account(State(shared): State<Shared>, body: Bytes) -> Answer {
    let state = parse(&body)?;
    let now = shared.world().clock.now();
    let account = build::account(&state, 1, now)?;
    account.warm();
    let counts: Map<String, Value> =
        Kind::ALL.iter().map(|kind| (kind.name().to_owned(), account.table(*kind).len().into())).collect();
    let mut world = shared.world();
    world.account = account;
    world.changed = true;
    Ok(Json(json!({"counts": counts})))
}

pub async fn state(State(shared): State<Shared>) -> Response {
    let state = {
        let mut world = shared.world();
        world.settle();
        world.to_state()
    };
    ([(CONTENT_TYPE, "application/json")], state.to_string()).into_response()
}

/// The calls after `since`, and the number to ask from next time.
pub async fn log(State(shared): State<Shared>, Query(query): Query<HashMap<String, String>>) -> Answer {
    let since = match query.get("since") {
        None => 0,
        Some(since) => since.parse().map_err(|_| Rejected::new("since", "must be a whole number"))?,
    };
    let world = shared.world();
    let calls: Vec<_> = world.log.since(since).collect();
    Ok(Json(json!({"last": world.log.last(), "calls": calls})))
}

pub async fn clock(State(shared): State<Shared>) -> Json<Value> {
    let world = shared.world();
    Json(json!({"now": world.clock.now(), "scale": world.clock.scale()}))
}

/// `advance_s` skips ahead; `scale` divides delays that begin from now on.
pub async fn set_clock(State(shared): State<Shared>, body: Bytes) -> Answer {
    let body = parse(&body)?;
    let object = body.as_object().ok_or_else(|| Rejected::new("body", "must be an object"))?;
    let positive = |name: &str, allowed: std::ops::RangeInclusive<f64>| match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_f64().filter(|number| allowed.contains(number));
            let message = format!("must be a number from {} to {}", allowed.start(), allowed.end());
            number.map(Some).ok_or_else(|| Rejected::new(name, message))
        }
    };
    if let Some(name) = object.keys().find(|name| !matches!(name.as_str(), "advance_s" | "scale")) {
        return Err(Rejected::new(name, "unknown field").into());
    }
    let advance = positive("advance_s", 0.0..=315_360_000.0)?;
    let scale = positive("scale", 0.001..=1_000_000.0)?;
    let mut world = shared.world();
    if let Some(scale) = scale {
        world.clock.set_scale(scale);
    }
    if let Some(seconds) = advance {
        world.clock.advance(Duration::from_secs_f64(seconds));
    }
    world.settle();
    Ok(Json(json!({"now": world.clock.now(), "scale": world.clock.scale()})))
}

pub async fn faults(State(shared): State<Shared>) -> Json<Value> {
    Json(json!({"faults": shared.world().faults.to_json()}))
}

/// Adds one fault or a list of them; of a list all or none.
pub async fn add_faults(State(shared): State<Shared>, body: Bytes) -> Answer {
    let body = parse(&body)?;
    let faults: Vec<Fault> = each(&body).into_iter().map(Fault::parse).collect::<Result<_, _>>()?;
    let mut world = shared.world();
    for fault in faults {
        world.faults.add(fault);
    }
    Ok(Json(json!({"faults": world.faults.to_json()})))
}

pub async fn clear_faults(State(shared): State<Shared>) -> Result<Json<Value>, Refused> {
    shared.world().faults.clear();
    Ok(Json(json!({"faults": []})))
}
