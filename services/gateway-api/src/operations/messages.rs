//! What services tell each other: events to read, and messages to mend.

use axum::routing::on;
use contracts::{
    outbox::Republished,
    paging::Page,
    parked::{ParkedMessage, ParkedStatus, ParkedSummary},
};

use crate::{
    events,
    operation::{
        Content, Operation,
        PathKind::{Owner, Parked},
        Role::{Operator, Tenant},
        owner_schema, schema_of, time_schema,
    },
    routes::{outbox, parked},
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/api/v1/events", "stream_events", Tenant, |m| on(m, events::stream))
            .summary("Events as they happen, as server-sent events; yours, or everyone's for operators.")
            .query(
                "subject",
                "Only events of this subject, such as evt.syncer.>; * is one token.",
                |_| schemars::json_schema!({ "type": "string", "maxLength": 255, "pattern": "^evt(\\.|$)" }),
            )
            .header(
                "Last-Event-ID",
                "The last event seen; what came after it is sent first, after an event gap if some of it is gone.",
                |_| schemars::json_schema!({ "type": "string", "pattern": "^[0-9]{1,20}$" }),
            )
            .content(Content::EventStream)
            .may_answer(429),
        Operation::get("/api/v1/parked", "list_parked", Operator, |m| on(m, parked::list))
            .summary("Messages that could not be handled; of one service, or of all, one after another.")
            .query("service", "Parked by this service only.", owner_schema)
            .query("status", "With this status; parked when left out.", schema_of::<ParkedStatus>)
            .paged()
            .answers::<Page<ParkedSummary>>(),
        Operation::get("/api/v1/parked/{service}/{id}", "get_parked", Operator, |m| on(m, parked::show))
            .summary("One parked message with its headers and body.")
            .path("service", Owner)
            .path("id", Parked)
            .answers::<ParkedMessage>(),
        Operation::post("/api/v1/parked/{service}/{id}/replay", "replay_parked", Operator, |m| {
            on(m, parked::replay)
        })
        .summary("Has a parked message handled again.")
        .path("service", Owner)
        .path("id", Parked)
        .answers::<ParkedSummary>(),
        Operation::post("/api/v1/parked/{service}/{id}/dismiss", "dismiss_parked", Operator, |m| {
            on(m, parked::dismiss)
        })
        .summary("Leaves a parked message unhandled for good.")
        .path("service", Owner)
        .path("id", Parked)
        .answers::<ParkedSummary>(),
        Operation::post("/api/v1/outbox/{service}/republish", "republish_outbox", Operator, |m| {
            on(m, outbox::republish)
        })
        .summary(
            "Publishes what a service published before again, same ids and bytes: rebuilds a lost stream.",
        )
        .path("service", Owner)
        .query(
            "since",
            "Only what was written at or after this time, such as 2026-11-24T13:20:00Z.",
            time_schema,
        )
        .answers::<Republished>(),
    ]
}
