//! The control port: what was taken, what was asked, and what goes wrong.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::server::Shared;
use crate::world::Fault;

/// All routes.
pub fn router(shared: Shared) -> Router {
    Router::new()
        .route("/sim/health", get(async || Json(json!({"status": "ok"}))))
        .route("/sim/state", get(state))
        .route("/sim/log", get(log))
        .route("/sim/faults", post(add_fault).delete(clear_faults))
        .with_state(shared)
}

async fn state(State(shared): State<Shared>) -> Json<Value> {
    Json(shared.world().to_state())
}

async fn log(State(shared): State<Shared>) -> Json<Value> {
    Json(json!({"calls": shared.world().log}))
}

/// `{"status": 503, "times": 2}` or `{"commit_then_500": true, "times": 1}`.
async fn add_fault(State(shared): State<Shared>, body: Bytes) -> Response {
    let fault: Fault = match serde_json::from_slice(&body) {
        Ok(fault) => fault,
        Err(error) => return refuse("body", &error.to_string()),
    };
    match fault.status {
        Some(status) if !(200..600).contains(&status) => return refuse("status", "must be 200 to 599"),
        None if !fault.commit_then_500 => return refuse("status", "status or commit_then_500 is required"),
        Some(_) | None => {}
    }
    let mut world = shared.world();
    world.faults.push(fault);
    Json(json!({"faults": world.faults})).into_response()
}

async fn clear_faults(State(shared): State<Shared>) -> Json<Value> {
    shared.world().faults.clear();
    Json(json!({"faults": []}))
}

fn refuse(field: &str, message: &str) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"field": field, "message": message}))).into_response()
}
