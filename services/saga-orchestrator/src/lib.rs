//! Sagas. So far it keeps the spine that they will stand on: outbox, inbox, parked messages.

pub mod config;
pub mod handlers;

/// What handlers need; nothing yet.
#[derive(Debug, Clone, Copy)]
pub struct SagaOrchestrator;
