//! Messages to be: rows in the same transaction as the change they tell of. [`crate::publisher`] sends them.

use chrono::{DateTime, SecondsFormat, Utc};
use contracts::{
    Event, Job, Service, TenantId,
    ids::EventId,
    parked::{MessageParked, PerService},
};
use serde::{Serialize, Serializer};
use sqlx::PgConnection;
use uuid::Uuid;

/// What every stream takes; see `nats/streams.json`.
const PAYLOAD_BYTES_MAX: usize = 60 * 1024;

/// One future message: its id, subject, headers and final bytes.
#[derive(Debug, Clone)]
pub struct Draft {
    subject: String,
    /// JSON, as it is stored: written once, straight from the values.
    headers: String,
    payload: Vec<u8>,
}

/// The headers of an outgoing message; see [`contracts::envelope`].
#[derive(Serialize)]
struct Headers<'a> {
    #[serde(rename = "ce-specversion")]
    specversion: &'a str,
    #[serde(rename = "ce-id")]
    id: EventId,
    #[serde(rename = "ce-source")]
    source: SourceUri,
    #[serde(rename = "ce-type")]
    message_type: &'a str,
    #[serde(rename = "ce-time")]
    time: String,
    #[serde(rename = "ce-subject", skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(rename = "content-type")]
    content_type: &'a str,
    #[serde(rename = "Nats-Msg-Id")]
    message_id: EventId,
    #[serde(rename = "Arcadia-Tenant", skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a TenantId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
}

impl Draft {
    /// An event of `service` that happened at `at`.
    pub fn event<E: Event>(
        service: Service,
        event: &E,
        at: DateTime<Utc>,
    ) -> Result<Self, serde_json::Error> {
        let key = event.key();
        let subject = match &key {
            Some(key) => format!("{}.{key}", E::SUBJECT),
            None => E::SUBJECT.to_owned(),
        };
        let payload = serde_json::to_vec(event)?;
        Self::new(service, E::SUBJECT, subject, key, event.tenant(), payload, at)
    }

    /// A job for whichever replica of `service` is free.
    pub fn job<J: Job>(service: Service, job: &J, at: DateTime<Utc>) -> Result<Self, serde_json::Error> {
        let payload = serde_json::to_vec(job)?;
        Self::new(service, J::SUBJECT, J::SUBJECT.to_owned(), None, None, payload, at)
    }

    pub(crate) fn parked(
        service: Service,
        message: &MessageParked,
        at: DateTime<Utc>,
    ) -> Result<Self, serde_json::Error> {
        let subject = MessageParked::subject(service);
        let payload = serde_json::to_vec(message)?;
        Self::new(service, &subject, subject.clone(), None, None, payload, at)
    }

    pub(crate) fn again(
        service: Service,
        subject: &str,
        payload: Vec<u8>,
        at: DateTime<Utc>,
    ) -> Result<Self, serde_json::Error> {
        Self::new(service, subject, subject.to_owned(), None, None, payload, at)
    }

    fn new(
        service: Service,
        message_type: &str,
        subject: String,
        key: Option<String>,
        tenant: Option<&TenantId>,
        payload: Vec<u8>,
        at: DateTime<Utc>,
    ) -> Result<Self, serde_json::Error> {
        let id = EventId::from_uuid(Uuid::now_v7());
        let headers = serde_json::to_string(&Headers {
            specversion: "1.0",
            id,
            source: SourceUri(service),
            message_type,
            time: at.to_rfc3339_opts(SecondsFormat::Micros, true),
            subject: key.as_deref(),
            content_type: "application/json",
            message_id: id,
            tenant,
            traceparent: telemetry::propagation::current_traceparent(),
        })?;
        Ok(Self { subject, headers, payload })
    }
}

/// `arcadia://<service>`.
struct SourceUri(Service);

impl Serialize for SourceUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("arcadia://{}", self.0.name()))
    }
}

/// Adds messages in one statement and wakes the publisher at commit. Messages of one entity keep their order
/// if the caller holds the entity's lock, as ids are given here.
pub async fn add(tx: &mut PgConnection, drafts: &[Draft]) -> Result<(), sqlx::Error> {
    if drafts.is_empty() {
        return Ok(());
    }
    if let Some(draft) = drafts.iter().find(|draft| draft.payload.len() > PAYLOAD_BYTES_MAX) {
        // It could never be published and would stand before everything after it.
        return Err(sqlx::Error::Encode(format!("a message on {} is too large", draft.subject).into()));
    }
    let count = drafts.len();
    let mut subjects = Vec::with_capacity(count);
    let (mut headers, mut payloads) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for draft in drafts {
        subjects.push(draft.subject.as_str());
        headers.push(draft.headers.as_str());
        payloads.push(draft.payload.as_slice());
    }
    sqlx::query!(
        r#"with added as (
             insert into outbox (subject, headers, payload)
             select subject, headers::json, payload
             from unnest($1::text[], $2::text[], $3::bytea[])
                  with ordinality as draft (subject, headers, payload, place)
             order by place
             returning id
           ), left_to_do as (
             insert into outbox_unpublished select id from added
           )
           select pg_notify('outbox_' || current_schema(), '') as "notified!: ()""#,
        &subjects as &[&str],
        &headers as &[&str],
        &payloads as &[&[u8]],
    )
    .fetch_one(tx)
    .await?;
    Ok(())
}

/// Puts published events back into the publisher's work set, so that it sends them again with the same ids and
/// bytes, in the same order: how a lost stream is rebuilt. Returns how many. Jobs that were done and announcements
/// of parked messages are not repeated.
pub async fn republish(tx: &mut PgConnection, since: Option<DateTime<Utc>>) -> Result<u64, sqlx::Error> {
    let put_back = sqlx::query!(
        "insert into outbox_unpublished
         select id from outbox
         where ($1::timestamptz is null or created_at >= $1) and subject like 'evt.%'
         on conflict do nothing",
        since,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("select pg_notify('outbox_' || current_schema(), '') as \"notified!: ()\"")
        .fetch_one(tx)
        .await?;
    Ok(put_back.rows_affected())
}
