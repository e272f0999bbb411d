//! The control port: seeds, inspects and breaks the account. For tests and operators, never for clients.

mod rows;
mod whole;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use serde_json::{Value, json};

use crate::rejected::Rejected;
use crate::server::Shared;

/// An account of a million rows as JSON fits.
const BODY_MAX: usize = 1 << 30;

/// All routes.
pub fn router(shared: Shared) -> Router {
    Router::new()
        .route("/sim/health", get(whole::health))
        .route("/sim/account", post(whole::replace_account))
        .route("/sim/state", get(whole::state))
        .route("/sim/log", get(whole::log))
        .route("/sim/clock", get(whole::clock).post(whole::set_clock))
        .route("/sim/faults", get(whole::faults).post(whole::add_faults).delete(whole::clear_faults))
        .route("/sim/invoices", post(rows::add_invoice))
        .route("/sim/spaces", post(rows::add_spaces))
        .route("/sim/spaces/{name}", delete(rows::remove_space))
        .route("/sim/records/{zone}", post(rows::add_records))
        .route("/sim/records/{zone}/{id}", patch(rows::patch_record).delete(rows::remove_record))
        .route("/sim/projects/{id}/resources", post(rows::assign))
        .route("/sim/{kind}", post(rows::add))
        .route("/sim/{kind}/{id}", patch(rows::merge).delete(rows::remove))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_MAX))
        .with_state(shared)
}

/// What a control call answers.
type Answer = Result<axum::Json<Value>, Refused>;

/// Why a control call was refused.
#[derive(Debug)]
pub enum Refused {
    /// 422, with the field.
    Rejected(Rejected),
    /// 404, with what does not exist.
    Missing(&'static str),
}

impl From<Rejected> for Refused {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            Self::Rejected(Rejected { field, message }) => {
                (StatusCode::UNPROCESSABLE_ENTITY, json!({"field": field, "message": message}))
            }
            Self::Missing(what) => (StatusCode::NOT_FOUND, json!({"message": format!("no such {what}")})),
        };
        (status, axum::Json(body)).into_response()
    }
}

/// Any JSON body; the content type does not matter here.
fn parse(body: &Bytes) -> Result<Value, Rejected> {
    serde_json::from_slice(body).map_err(|error| Rejected::new("body", error.to_string()))
}

/// One object, or each of a list.
fn each(body: &Value) -> Vec<&Value> {
    body.as_array().map_or_else(|| vec![body], |list| list.iter().collect())
}
