//! Messages that could not be handled: a row here, an announcement on `PARKED`, and what operators do with them.

use std::collections::BTreeMap;

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

/// Sets a message aside with the reason, once, and announces it.
pub async fn park(
    tx: &mut PgConnection,
    service: Service,
    received: &Received,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), ParkError> {
    let id = Uuid::now_v7();
    let mut reason = reason.replace('\0', " ");
    reason.truncate(reason.floor_char_boundary(REASON_MAX));
    // jsonb takes no NUL.
    let headers: BTreeMap<&str, String> =
        received.headers.iter().map(|(k, v)| (k.as_str(), v.replace('\0', " "))).collect();
    let inserted = sqlx::query!(
        "insert into parked (id, consumer, message_key, subject, headers, payload, reason, deliveries, parked_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing",
        id,
        received.consumer,
        received.key,
        received.subject,
        Json(&headers) as _,
        received.body.as_ref(),
        reason,
        received.deliveries,
        now,
    )
    .execute(&mut *tx)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(());
    }
    let message = ParkedSummary {
        id: ParkedId::from_uuid(id),
        service: service.name().to_owned(),
        subject: received.subject.clone(),
        reason,
        status: ParkedStatus::Parked,
        deliveries: received.deliveries,
        parked_at: now,
        settled_by: None,
        settled_at: None,
    };
    let draft = Draft::parked(service, &MessageParked { message }, now)?;
    outbox::add(tx, &[draft]).await?;
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
        "update parked set status = $2, settled_by = $3, settled_at = now() where id = $1",
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
