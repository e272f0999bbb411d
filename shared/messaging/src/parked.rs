//! Messages that could not be handled: a row here, an announcement on `PARKED`, and what operators do with them.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use contracts::{
    Problem, Service,
    ids::ParkedId,
    paging::{LIMIT_MAX, Page},
    parked::{
        DismissParked, GetParked, ListParked, MessageParked, ParkedMessage, ParkedStatus, ParkedSummary,
    },
};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{
    envelope::Received,
    outbox::{self, Draft},
    outcome::Refusal,
};

/// Longest reason kept, in bytes; serde's may quote a whole field.
const REASON_MAX: usize = 1_000;

/// A message could not be set aside.
#[derive(Debug, thiserror::Error)]
pub enum ParkError {
    /// The database refused.
    #[error("park a message")]
    Database(#[from] sqlx::Error),
    /// The announcement could not be written.
    #[error("serialise the announcement of a parked message")]
    Announcement(#[from] serde_json::Error),
}

impl crate::outcome::NotAProblem for ParkError {}

/// A message to be set aside.
#[derive(Debug, Clone, Copy)]
pub struct Parking<'a> {
    /// The message.
    pub received: &'a Received,
    /// Why it cannot be handled.
    pub reason: &'a str,
    /// What it waits for; `None`: an operator.
    pub waits_for: Option<&'a str>,
}

/// Sets messages aside, each once by its consumer and key, and announces those that were not there yet. One that an
/// operator has dismissed and that comes again is set aside again.
pub async fn park_all(
    tx: &mut PgConnection,
    service: Service,
    aside: &[Parking<'_>],
    now: DateTime<Utc>,
) -> Result<(), ParkError> {
    if aside.is_empty() {
        return Ok(());
    }
    // In the order of the key, so that two transactions with the same messages wait for each other one way only. The
    // ids are in the order in which the messages came: so they are taken up again.
    let mut first = BTreeMap::new();
    for parking in aside {
        let received = parking.received;
        first
            .entry((received.consumer.as_str(), received.key.as_str()))
            .or_insert_with(|| (Uuid::now_v7(), parking));
    }
    let count = first.len();
    let mut summaries = HashMap::with_capacity(count);
    let (mut ids, mut consumers, mut keys) =
        (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut subjects, mut headers, mut payloads) =
        (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut reasons, mut deliveries, mut things) =
        (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
    for ((consumer, key), (id, Parking { received, reason, waits_for })) in first {
        let (subject, reason) = (plain(&received.subject), shortened(reason));
        let summary = ParkedSummary {
            id: ParkedId::from_uuid(id),
            service: service.name().to_owned(),
            subject: subject.clone(),
            reason: reason.clone(),
            status: ParkedStatus::Parked,
            deliveries: received.deliveries,
            parked_at: now,
            settled_by: None,
            settled_at: None,
        };
        summaries.insert((consumer, key), summary);
        ids.push(id);
        consumers.push(consumer);
        keys.push(key);
        subjects.push(subject);
        let plain: BTreeMap<String, String> =
            received.headers.iter().map(|(k, v)| (plain(k), plain(v))).collect();
        headers.push(serde_json::to_value(plain)?);
        payloads.push(received.body.as_ref());
        reasons.push(reason);
        deliveries.push(received.deliveries);
        things.push(*waits_for);
    }
    let set_aside = sqlx::query!(
        "insert into parked (id, consumer, message_key, subject, headers, payload, reason, deliveries, parked_at, waits_for)
         select id, consumer, message_key, subject, headers, payload, reason, deliveries, $10, waits_for
         from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::bytea[], $7::text[], $8::bigint[],
                     $9::text[])
              as aside (id, consumer, message_key, subject, headers, payload, reason, deliveries, waits_for)
         on conflict (consumer, message_key) do update set
           status = 'parked',
           reason = excluded.reason,
           deliveries = excluded.deliveries,
           parked_at = excluded.parked_at,
           waits_for = excluded.waits_for,
           settled_by = null,
           settled_at = null
         where parked.status = 'dismissed'
         returning id, consumer, message_key",
        &ids,
        &consumers as &[&str],
        &keys as &[&str],
        &subjects,
        &headers,
        &payloads as &[&[u8]],
        &reasons,
        &deliveries,
        &things as &[Option<&str>],
        now,
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut drafts = Vec::with_capacity(set_aside.len());
    for row in &set_aside {
        if let Some(message) = summaries.remove(&(row.consumer.as_str(), row.message_key.as_str())) {
            let message = ParkedSummary { id: ParkedId::from_uuid(row.id), ..message };
            drafts.push(Draft::parked(service, &MessageParked { message }, now)?);
        }
    }
    outbox::add(tx, &drafts).await?;
    Ok(())
}

/// Postgres takes no NUL in text, and nats-server does.
fn plain(text: &str) -> String {
    text.replace('\0', " ")
}

fn shortened(reason: &str) -> String {
    let mut reason = plain(reason);
    reason.truncate(reason.floor_char_boundary(REASON_MAX));
    reason
}

/// Messages that wait for a thing, oldest first, locked for whoever takes them up; those that somebody else has locked
/// are left out.
pub async fn waiting_for(
    tx: &mut PgConnection,
    thing: &str,
    limit: i64,
) -> Result<Vec<(ParkedId, Received)>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id, consumer, message_key, subject, headers as "headers: Json<BTreeMap<String, String>>",
                  payload, reason, status, deliveries, parked_at, settled_by, settled_at
           from parked where waits_for = $1 and status = 'parked'
           order by id limit $2 for update skip locked"#,
        thing,
        limit,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|row| (ParkedId::from_uuid(row.id), row.into_received())).collect())
}

/// Messages were handled after all.
pub async fn release(tx: &mut PgConnection, ids: &[ParkedId], by: &str) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    sqlx::query!(
        "update parked set status = 'replayed', settled_by = $2, settled_at = now(), waits_for = null
         where id = any($1)",
        &ids,
        by,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// A message that waited still cannot be handled, for another reason: an operator's now.
pub async fn keep(tx: &mut PgConnection, id: ParkedId, reason: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update parked set reason = $2, waits_for = null where id = $1",
        id.as_uuid(),
        shortened(reason),
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) struct Row {
    id: Uuid,
    consumer: String,
    message_key: String,
    subject: String,
    headers: Json<BTreeMap<String, String>>,
    payload: Vec<u8>,
    reason: String,
    status: String,
    deliveries: i64,
    parked_at: DateTime<Utc>,
    settled_by: Option<String>,
    settled_at: Option<DateTime<Utc>>,
}

impl Row {
    fn summary(&self, service: Service) -> ParkedSummary {
        ParkedSummary {
            id: ParkedId::from_uuid(self.id),
            service: service.name().to_owned(),
            subject: self.subject.clone(),
            reason: self.reason.clone(),
            status: match self.status.as_str() {
                "replayed" => ParkedStatus::Replayed,
                "dismissed" => ParkedStatus::Dismissed,
                _ => ParkedStatus::Parked,
            },
            deliveries: self.deliveries,
            parked_at: self.parked_at,
            settled_by: self.settled_by.clone(),
            settled_at: self.settled_at,
        }
    }

    /// The message as it was delivered.
    pub(crate) fn into_received(self) -> Received {
        Received {
            subject: self.subject,
            headers: self.headers.0,
            body: self.payload.into(),
            key: self.message_key,
            deliveries: self.deliveries,
            consumer: self.consumer,
        }
    }
}

pub(crate) async fn list(
    tx: &mut PgConnection,
    service: Service,
    query: &ListParked,
) -> Result<Page<ParkedSummary>, Refusal> {
    if !(1..=LIMIT_MAX).contains(&query.page.limit) {
        return Err(Problem::unprocessable("limit", "must be from 1 to 200").into());
    }
    let after = match &query.page.cursor {
        None => Uuid::nil(),
        Some(cursor) => cursor
            .parse::<ParkedId>()
            .map_err(|_| Problem::unprocessable("cursor", "is not a cursor of this listing"))?
            .as_uuid(),
    };
    let rows = sqlx::query_as!(
        Row,
        r#"select id, consumer, message_key, subject, headers as "headers: Json<BTreeMap<String, String>>",
                  ''::bytea as "payload!", reason, status, deliveries, parked_at, settled_by, settled_at
           from parked where status = $1 and id > $2 order by id limit $3"#,
        query.status.as_str(),
        after,
        i64::from(query.page.limit) + 1,
    )
    .fetch_all(tx)
    .await?;
    let limit = usize::from(query.page.limit);
    let items: Vec<ParkedSummary> = rows.iter().take(limit).map(|row| row.summary(service)).collect();
    let more = rows.len() > limit;
    let next_cursor = items.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(Page { items, next_cursor })
}

pub(crate) async fn get(
    tx: &mut PgConnection,
    service: Service,
    query: &GetParked,
) -> Result<ParkedMessage, Refusal> {
    let row = find(tx, query.id).await?.ok_or_else(Problem::not_found)?;
    Ok(ParkedMessage {
        summary: row.summary(service),
        body: String::from_utf8_lossy(&row.payload).into_owned(),
        headers: row.headers.0,
    })
}

async fn find(tx: &mut PgConnection, id: ParkedId) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"select id, consumer, message_key, subject, headers as "headers: Json<BTreeMap<String, String>>",
                  payload, reason, status, deliveries, parked_at, settled_by, settled_at
           from parked where id = $1"#,
        id.as_uuid(),
    )
    .fetch_optional(tx)
    .await
}

/// Locks a message that still waits, for whoever settles it.
pub(crate) async fn lock_waiting(tx: &mut PgConnection, id: ParkedId) -> Result<Row, Refusal> {
    sqlx::query!("select id from parked where id = $1 for update", id.as_uuid())
        .fetch_optional(&mut *tx)
        .await?
        .ok_or_else(Problem::not_found)?;
    let row = find(tx, id).await?.ok_or_else(Problem::not_found)?;
    if row.status == ParkedStatus::Parked.as_str() {
        return Ok(row);
    }
    Err(Problem::conflict(format!("The message is already {}.", row.status)).into())
}

pub(crate) async fn settle(
    tx: &mut PgConnection,
    service: Service,
    id: ParkedId,
    status: ParkedStatus,
    actor: &str,
) -> Result<ParkedSummary, Refusal> {
    sqlx::query!(
        "update parked set status = $2, settled_by = $3, settled_at = now(), waits_for = null where id = $1",
        id.as_uuid(),
        status.as_str(),
        actor,
    )
    .execute(&mut *tx)
    .await?;
    let row = find(tx, id).await?.ok_or_else(Problem::not_found)?;
    Ok(row.summary(service))
}

pub(crate) async fn dismiss(
    tx: &mut PgConnection,
    service: Service,
    command: &DismissParked,
) -> Result<ParkedSummary, Refusal> {
    lock_waiting(tx, command.id).await?;
    settle(tx, service, command.id, ParkedStatus::Dismissed, &command.actor.subject).await
}
