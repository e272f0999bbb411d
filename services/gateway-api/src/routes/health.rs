//! Whether this process answers at all.

use axum::Json;
use schemars::JsonSchema;
use serde::Serialize;

/// Whether the gateway answers. Says nothing of what stands behind it: that is readiness, on another port.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Health {
    /// The system's name.
    service: &'static str,
    /// `ok`, or there would be no answer.
    status: &'static str,
}

pub(crate) async fn show() -> Json<Health> {
    Json(Health { service: "arcadia-cloud", status: "ok" })
}
