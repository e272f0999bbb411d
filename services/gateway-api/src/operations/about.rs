//! The gateway itself, and what it says about itself.

use axum::routing::on;

use super::OPENAPI_PATH;
use crate::{
    operation::{Content, Operation, Role::Public},
    routes::{
        documents,
        health::{self, Health},
    },
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/api/health", "get_health", Public, |m| on(m, health::show))
            .summary("Whether the gateway answers. Needs nothing else to be up.")
            .answers::<Health>(),
        Operation::get(OPENAPI_PATH, "get_openapi", Public, |m| on(m, documents::openapi))
            .summary("This document."),
        Operation::get("/api/docs", "get_docs", Public, |m| on(m, documents::page))
            .summary("This document as a page to read.")
            .content(Content::Html),
    ]
}
