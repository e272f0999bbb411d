//! Messages to be: rows in the same transaction as the change they tell of. [`crate::publisher`] sends them.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use contracts::{
    Event, Job, Service, TenantId, envelope,
    ids::EventId,
    parked::{MessageParked, PerService},
};
use sqlx::PgConnection;
use uuid::Uuid;

/// One future message: its id, subject, headers and final bytes.
#[derive(Debug, Clone)]
pub struct Draft {
    event_id: Uuid,
    subject: String,
    headers: BTreeMap<&'static str, String>,
    payload: Vec<u8>,
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
        Ok(Self::new(service, E::SUBJECT, subject, key, event.tenant(), payload, at))
    }

    /// A job for whichever replica of `service` is free.
    pub fn job<J: Job>(service: Service, job: &J, at: DateTime<Utc>) -> Result<Self, serde_json::Error> {
        let payload = serde_json::to_vec(job)?;
        Ok(Self::new(service, J::SUBJECT, J::SUBJECT.to_owned(), None, None, payload, at))
    }

    pub(crate) fn parked(
        service: Service,
        message: &MessageParked,
        at: DateTime<Utc>,
    ) -> Result<Self, serde_json::Error> {
        let subject = MessageParked::subject(service);
        let payload = serde_json::to_vec(message)?;
        Ok(Self::new(service, &subject, subject.clone(), None, None, payload, at))
    }

    pub(crate) fn again(service: Service, subject: &str, payload: Vec<u8>, at: DateTime<Utc>) -> Self {
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
    ) -> Self {
        let event_id = Uuid::now_v7();
        let id = EventId::from_uuid(event_id).to_string();
        let mut headers = BTreeMap::from([
            (envelope::CE_SPECVERSION, "1.0".to_owned()),
            (envelope::CE_ID, id.clone()),
            (envelope::CE_SOURCE, format!("arcadia://{}", service.name())),
            (envelope::CE_TYPE, message_type.to_owned()),
            (envelope::CE_TIME, at.to_rfc3339_opts(SecondsFormat::Micros, true)),
            (envelope::CONTENT_TYPE, "application/json".to_owned()),
            (envelope::MSG_ID, id),
        ]);
        if let Some(key) = key {
            headers.insert(envelope::CE_SUBJECT, key);
        }
        if let Some(tenant) = tenant {
            headers.insert(envelope::TENANT, tenant.to_string());
        }
        if let Some(traceparent) = telemetry::propagation::current_traceparent() {
            headers.insert(envelope::TRACEPARENT, traceparent);
        }
        Self { event_id, subject, headers, payload }
    }
}

/// Adds messages in one statement and wakes the publisher at commit. Messages of one entity keep their order
/// if the caller holds the entity's lock, as ids are given here.
pub async fn add(tx: &mut PgConnection, drafts: &[Draft]) -> Result<(), OutboxError> {
    if drafts.is_empty() {
        return Ok(());
    }
    let count = drafts.len();
    let (mut ids, mut subjects) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut headers, mut payloads) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for draft in drafts {
        ids.push(draft.event_id);
        subjects.push(draft.subject.as_str());
        headers.push(serde_json::to_string(&draft.headers)?);
        payloads.push(draft.payload.as_slice());
    }
    sqlx::query!(
        r#"with added as (
             insert into outbox (event_id, subject, headers, payload)
             select event_id, subject, headers::json, payload
             from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[])
                  with ordinality as draft (event_id, subject, headers, payload, place)
             order by place
             returning id
           ), left_to_do as (
             insert into outbox_unpublished select id from added
           )
           select pg_notify('outbox_' || current_schema(), '') as "notified!: ()""#,
        &ids,
        &subjects as &[&str],
        &headers,
        &payloads as &[&[u8]],
    )
    .fetch_one(tx)
    .await?;
    Ok(())
}

/// A message could not be added.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The database refused.
    #[error("add messages to the outbox")]
    Database(#[from] sqlx::Error),
    /// The headers did not serialise.
    #[error("serialise a message's headers")]
    Headers(#[from] serde_json::Error),
}

impl crate::outcome::NotAProblem for OutboxError {}

/// Puts published messages back into the publisher's work set, so that it sends them again with the same ids and
/// bytes, in the same order: how a lost stream is rebuilt. Returns how many.
pub async fn republish(tx: &mut PgConnection, since: Option<DateTime<Utc>>) -> Result<u64, sqlx::Error> {
    let put_back = sqlx::query!(
        "insert into outbox_unpublished
         select id from outbox where $1::timestamptz is null or created_at >= $1
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
