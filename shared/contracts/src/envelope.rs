//! Names of the headers that surround a body: CloudEvents 1.0 in the binary mode of its NATS binding, and ours.

/// `ce-specversion`.
pub const CE_SPECVERSION: &str = "ce-specversion";
/// The event's id; equal to `Nats-Msg-Id`.
pub const CE_ID: &str = "ce-id";
/// The owner, as a URI: `arcadia://syncer`.
pub const CE_SOURCE: &str = "ce-source";
/// The subject literal without the id.
pub const CE_TYPE: &str = "ce-type";
/// The entity the event is about.
pub const CE_SUBJECT: &str = "ce-subject";
/// When it happened (RFC 3339, UTC).
pub const CE_TIME: &str = "ce-time";
/// `application/json`.
pub const CONTENT_TYPE: &str = "content-type";
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// What JetStream deduplicates by.
pub const MSG_ID: &str = "Nats-Msg-Id";
/// The tenant whose event it is; absent: operators only. What SSE filters by.
pub const TENANT: &str = "Arcadia-Tenant";
/// The idempotency key of a command, 1 to 255 visible ASCII characters.
pub const IDEMPOTENCY_KEY: &str = "Arcadia-Idempotency-Key";
/// `true` on a reply that was stored earlier.
pub const REPLAYED: &str = "Arcadia-Replayed";
