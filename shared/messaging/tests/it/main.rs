//! The spine on real servers: outbox, inbox, parked messages, requests, schedules.

mod follow;
mod outbox;
mod parked;
mod requests;
mod support;
