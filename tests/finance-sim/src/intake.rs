//! The two endpoints that take invoices.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::auth::{self, Denied};
use crate::invoice::{self, Side};
use crate::server::Shared;

pub async fn invoice(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    take(&shared, Side::Payable, &headers, &body).into_response()
}

pub async fn receivable(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    take(&shared, Side::Receivable, &headers, &body).into_response()
}

type Answer = (StatusCode, Json<Value>);

fn take(shared: &Shared, side: Side, headers: &HeaderMap, body: &Bytes) -> Answer {
    let sent: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut taken = None;
    let answer = decide(shared, side, headers, &sent, &mut taken);
    shared.world().note(side, sent, answer.0.as_u16(), taken);
    answer
}

fn decide(
    shared: &Shared,
    side: Side,
    headers: &HeaderMap,
    sent: &Value,
    taken: &mut Option<&'static str>,
) -> Answer {
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    match auth::check(authorization, shared.secret()) {
        Ok(()) => {}
        Err(denied @ Denied::Unauthenticated) => return error(StatusCode::UNAUTHORIZED, &denied.to_string()),
        Err(denied @ Denied::Forbidden) => return error(StatusCode::FORBIDDEN, &denied.to_string()),
    }
    let mut world = shared.world();
    let fault = world.strike();
    if let Some(status) = fault.as_ref().and_then(|fault| fault.status) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return error(status, "on purpose");
    }
    let Some(invoice) = sent.as_object() else {
        return error(StatusCode::BAD_REQUEST, "body must be a JSON object");
    };
    let key = match invoice::check(invoice) {
        Ok(key) => key,
        Err(faults) => {
            let errors: Map<String, Value> =
                faults.iter().map(|fault| (fault.field.to_owned(), json!([fault.message]))).collect();
            return (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"errors": errors})));
        }
    };
    let (status, id) = world.take(side, key, invoice.clone());
    *taken = Some(status);
    if fault.is_some_and(|fault| fault.commit_then_500) {
        return error(StatusCode::INTERNAL_SERVER_ERROR, "on purpose, after the invoice was taken");
    }
    let code = if status == "created" { StatusCode::CREATED } else { StatusCode::OK };
    (code, Json(json!({"status": status, "finance_invoice_id": id})))
}

fn error(status: StatusCode, message: &str) -> Answer {
    (status, Json(json!({"error": message})))
}
