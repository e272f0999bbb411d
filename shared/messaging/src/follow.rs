//! A stream followed in order, in batches, from a position that the service keeps in its own database.
//!
//! For the ingest of what comes at a high rate and must count once: the effect of a batch and the new position commit
//! together, so nothing is acknowledged, redelivered or remembered per message, and the outcome depends on the
//! stream's order alone, whoever dies. One replica follows at a time: it holds a session's advisory lock on the
//! connection over which it commits; a compare-and-set on the position keeps even a replica that lost its lock
//! unawares from counting anything twice.

use std::{
    collections::BTreeMap,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use chrono::{DateTime, SubsecRound, Utc};
use contracts::{Service, streams::Stream};
use futures::{StreamExt, future::BoxFuture};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::{
    connection::Nats,
    consume::{self, FAILURES_MAX, caught},
    envelope::{self, Received},
    failpoint,
    outcome::{HandlerError, Outcome},
    parked::{self, Parking},
};

/// Messages that share a transaction.
pub const BATCH: usize = 1_000;
/// Messages asked for ahead; what a follower that is slow has waiting in memory.
const AHEAD: usize = 2 * BATCH;
/// How long one request for messages stands, and how often the server says that it is still there. Rarely: a reader that
/// waits for a slow commit hears nothing meanwhile, and a connection that was made anew is noticed without it.
const PULL_EXPIRES: Duration = Duration::from_secs(20);
const HEARTBEAT: Duration = Duration::from_secs(8);
/// The server forgets a consumer that nobody pulls from after this.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
/// Between attempts after a failure, and of a standby to become the follower.
const RETRY: Duration = Duration::from_millis(250);
const STANDBY: Duration = Duration::from_millis(500);
/// Between attempts at one message. Short: everything behind it waits too.
const AGAIN: Duration = Duration::from_secs(1);
/// Times the connection may break at one message before it is asked whether it is the message.
const BREAKS_MAX: u32 = 3;
/// How soon after each other connections break that break over one message.
const IN_A_ROW: Duration = Duration::from_secs(20);
/// Times after which it is the message, whatever it looks like.
const HOPELESS: u32 = 30;
/// First half of the advisory lock's key, so that it meets nobody else's.
const LOCK_CLASS: i32 = 0x0a0c;

/// The last message of a stream whose effect is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// When the stream was created: a stream that was lost and made again counts from 1 again.
    pub stream_created_at: DateTime<Utc>,
    /// The message's place in it.
    pub sequence: u64,
}

/// Takes what a stream brings, in its order.
pub trait Follow: Send + Sync + 'static {
    /// What a batch is read into.
    type Batch: Send + 'static;

    /// Parses and checks, without waiting for anything; runs while the batch before is being committed.
    fn read(&self, messages: &[Received]) -> Self::Batch;

    /// Saves a batch and says what became of each message, in order: [`Outcome::Done`], or [`Outcome::Park`] or
    /// [`Outcome::Await`], which are set aside in the same transaction. [`Outcome::RetryAfter`] would break the
    /// order and counts as a failure.
    fn take(
        &self,
        tx: &mut PgConnection,
        batch: Self::Batch,
    ) -> impl Future<Output = Result<Vec<Outcome>, HandlerError>> + Send;

    /// Where the last committed batch ended; `None` before the first.
    fn position(
        &self,
        tx: &mut PgConnection,
    ) -> impl Future<Output = Result<Option<Position>, HandlerError>> + Send;

    /// Moves the position, if it still is `from`; false otherwise.
    fn advance(
        &self,
        tx: &mut PgConnection,
        from: Option<Position>,
        to: Position,
    ) -> impl Future<Output = Result<bool, HandlerError>> + Send;
}

/// Following broke off; it starts over from the committed position.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("use the database")]
    Database(#[from] sqlx::Error),
    #[error("find the stream")]
    Stream(#[from] async_nats::jetstream::context::GetStreamError),
    #[error("make a consumer")]
    Consumer(#[from] async_nats::jetstream::stream::ConsumerError),
    #[error("ask for messages")]
    Ask(#[from] async_nats::jetstream::consumer::StreamError),
    #[error("receive messages")]
    Receive(#[from] pull::MessagesError),
    #[error("read a message's place in the stream")]
    Place(#[source] async_nats::Error),
    #[error("message {} was expected and {} came", .0.expected, .0.found)]
    Gap(Gap),
    #[error("the connection was made anew; what was on the way may be lost")]
    Reconnected,
    #[error("ask for a message that cannot be received")]
    Probe(#[source] async_nats::client::RequestError),
    #[error("read the answer about a message that cannot be received")]
    Answer(#[from] serde_json::Error),
    #[error("another replica has moved the position")]
    Overtaken,
    #[error("take a batch: {0}")]
    Take(HandlerError),
    #[error("set messages aside")]
    Park(#[from] parked::ParkError),
    #[error("the reader has ended")]
    Ended,
}

/// Messages that did not come although those after them did: lost on the way, or no longer in the stream. A second consumer
/// that shows the same gap tells that it is the stream's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gap {
    expected: u64,
    found: u64,
}

/// What earlier attempts learned.
#[derive(Debug, Default)]
struct Lessons {
    gap: Option<Gap>,
    /// The message that was expected when the connection broke, and how often in a row.
    broke_at: Option<Break>,
}

#[derive(Debug, Clone, Copy)]
struct Break {
    next: u64,
    times: u32,
    last: Instant,
}

/// What a follower works with.
pub(crate) struct Follower<S> {
    pub service: Service,
    pub state: Arc<S>,
    pub stream: Stream,
    pub consumer: String,
    pub database: PgConnectOptions,
    pub nats: Nats,
    pub shutdown: CancellationToken,
}

struct Chunk<B> {
    messages: Vec<Received>,
    /// `None`: reading panicked; the panic hook has logged where.
    batch: Option<B>,
    last: u64,
}

pub(crate) type Run<S> = fn(Follower<S>) -> BoxFuture<'static, ()>;

/// Follows until shutdown.
pub(crate) fn run<S: Follow>(follower: Follower<S>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let mut lessons = Lessons::default();
        while !follower.shutdown.is_cancelled() {
            let mut next = 0;
            match follow_while_leading(&follower, &mut next, &lessons).await {
                Ok(()) => lessons = Lessons::default(),
                Err(error) => {
                    warn!(error = %consume::chain(&error), stream = follower.stream.name(), "following starts over");
                    lessons.learn(next, &error);
                }
            }
            tokio::select! {
                () = follower.shutdown.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    })
}

impl Lessons {
    fn learn(&mut self, next: u64, error: &FollowError) {
        match error {
            FollowError::Gap(gap) => self.gap = Some(*gap),
            FollowError::Reconnected | FollowError::Receive(_) => {
                // Servers that are restarted once in a while are no message's fault.
                let same = |broke: &Break| broke.next == next && broke.last.elapsed() < IN_A_ROW;
                let times = self.broke_at.filter(same).map_or(0, |broke| broke.times) + 1;
                self.broke_at = Some(Break { next, times, last: Instant::now() });
            }
            _ => {}
        }
    }
}

/// Handles one message by itself, outside the order: a parked one that an operator replays.
pub(crate) fn handle<'a, S: Follow>(
    state: &'a S,
    tx: &'a mut PgConnection,
    received: &'a Received,
) -> BoxFuture<'a, Result<Outcome, HandlerError>> {
    Box::pin(async move {
        let batch = state.read(std::slice::from_ref(received));
        let outcomes = state.take(tx, batch).await?;
        Ok(outcomes.into_iter().next().unwrap_or(Outcome::Done))
    })
}

/// `next` is what is expected next, for whoever learns from how it ended.
async fn follow_while_leading<S: Follow>(
    follower: &Follower<S>,
    next: &mut u64,
    lessons: &Lessons,
) -> Result<(), FollowError> {
    let shutdown = &follower.shutdown;
    // Everything is committed over the connection that holds the lock.
    let mut connection = follower.database.connect().await?;
    while !sqlx::query_scalar!(
        r#"select pg_try_advisory_lock($1, hashtext('follow ' || current_schema() || $2)) as "locked!""#,
        LOCK_CLASS,
        follower.stream.name(),
    )
    .fetch_one(&mut connection)
    .await?
    {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(STANDBY) => {}
        }
    }
    let mut position = follower.state.position(&mut connection).await.map_err(FollowError::Take)?;
    let stream = follower.nats.jetstream.get_stream(follower.stream.name()).await?;
    let info = stream.cached_info();
    // Postgres keeps microseconds.
    let (created, state) = (info.created.trunc_subsecs(6), &info.state);
    *next = begin(follower.stream, position, created, (state.first_sequence, state.last_sequence));

    let breaks = lessons.broke_at.filter(|broke| broke.next == *next).map_or(0, |broke| broke.times);
    if let Some(message) =
        if breaks >= BREAKS_MAX { unreadable(follower, *next, breaks).await? } else { None }
    {
        let to = Position { stream_created_at: created, sequence: *next };
        let reason = "its subject or headers are no text, so that it breaks every connection it comes over";
        set_aside(follower, &mut connection, position, to, &message, reason).await?;
        position = Some(to);
        *next += 1;
    }
    info!(stream = follower.stream.name(), from = *next, "following");

    let (sender, mut chunks) = mpsc::channel(1);
    let reader = read_ahead(follower, stream, *next, lessons.gap, sender);
    let reader = AbortOnDropHandle::new(tokio::spawn(reader));
    loop {
        let chunk = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            chunk = chunks.recv() => chunk,
        };
        let Some(chunk) = chunk else {
            return reader.await.map_err(|_panicked| FollowError::Ended)?;
        };
        let to = Position { stream_created_at: created, sequence: chunk.last };
        commit(follower, &mut connection, position, to, chunk).await?;
        position = Some(to);
        *next = to.sequence + 1;
    }
}

/// Where to begin: after the position, if the stream is the one it is of and still holds what comes next. What is not there
/// any more is said aloud; what was read before and is read again is known by its ids.
fn begin(
    stream: Stream,
    position: Option<Position>,
    created: DateTime<Utc>,
    (first, last): (u64, u64),
) -> u64 {
    let stream = stream.name();
    let Some(position) = position else { return first.max(1) };
    if position.stream_created_at != created {
        warn!(stream, "the stream was made again; following it from its first message");
        return first.max(1);
    }
    let next = position.sequence + 1;
    if next > last + 1 {
        error!(stream, next, last, "the stream has lost its end; following it from its first message");
        return first.max(1);
    }
    if next < first {
        missed(stream, next, first - 1);
        return first;
    }
    next
}

fn missed(stream: &str, from: u64, to: u64) {
    error!(stream, from, to, "messages are no longer in the stream and were never read");
    metrics::counter!("followed_messages_missed_total").increment(to + 1 - from);
}

#[derive(Deserialize)]
struct Stored {
    message: Option<StoredMessage>,
}

#[derive(Deserialize)]
struct StoredMessage {
    subject: String,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
}

/// The message at a place over which connections break, if it is of a kind that this client cannot receive: the server
/// stores any bytes as subject and headers, and the client ends the connection at what is no text.
///
/// One over which they break again and again although the server answers is of that kind too, whatever it is about it.
async fn unreadable<S>(
    follower: &Follower<S>,
    sequence: u64,
    breaks: u32,
) -> Result<Option<Received>, FollowError> {
    let subject = format!("$JS.API.STREAM.MSG.GET.{}", follower.stream.name());
    let request = serde_json::to_vec(&serde_json::json!({ "seq": sequence }))?;
    let answer = follower.nats.client.request(subject, request.into()).await.map_err(FollowError::Probe)?;
    let stored: Stored = serde_json::from_slice(&answer.payload)?;
    let Some(message) = stored.message else { return Ok(None) };
    let headers = STANDARD.decode(&message.hdrs).unwrap_or_default();
    // The server writes U+FFFD for what is no UTF-8.
    if breaks < HOPELESS && !message.subject.contains('\u{FFFD}') && are_text(&headers) {
        return Ok(None);
    }
    let body = Bytes::from(STANDARD.decode(&message.data).unwrap_or_default());
    Ok(Some(Received {
        key: key(&message.subject, &body),
        headers: BTreeMap::from([("unreadable".to_owned(), String::from_utf8_lossy(&headers).into_owned())]),
        subject: message.subject,
        body,
        deliveries: 1,
        consumer: follower.consumer.clone(),
    }))
}

/// Whether the client takes a block of headers.
fn are_text(headers: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(headers) else { return false };
    if !text.is_empty() && !text.starts_with("NATS/1.0") {
        return false;
    }
    text.split("\r\n").skip(1).filter(|line| !line.is_empty()).all(|line| {
        line.split_once(':')
            .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(|c| c.is_ascii_graphic()))
    })
}

/// Reads from `next` on and sends what it reads, in order and without a gap, until something breaks.
fn read_ahead<S: Follow>(
    follower: &Follower<S>,
    stream: async_nats::jetstream::stream::Stream,
    mut next: u64,
    suspected: Option<Gap>,
    sender: mpsc::Sender<Chunk<S::Batch>>,
) -> impl Future<Output = Result<(), FollowError>> + Send + 'static {
    let (state, consumer_name) = (Arc::clone(&follower.state), follower.consumer.clone());
    let (name, mut connections) = (follower.stream.name(), follower.nats.connections.clone());
    async move {
        connections.borrow_and_update();
        let config = pull::Config {
            name: Some(format!("{consumer_name}-{}", Uuid::new_v4().simple())),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: next },
            ack_policy: AckPolicy::None,
            inactive_threshold: FORGOTTEN_AFTER,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(AHEAD)
            .expires(PULL_EXPIRES)
            .heartbeat(HEARTBEAT)
            .messages()
            .await?;
        let mut chunks = messages.ready_chunks(BATCH);
        let mut begun = false;
        loop {
            let chunk = tokio::select! {
                // Constrained, a task is interrupted after 128 messages that were ready, and the chunk would end there.
                chunk = tokio::task::unconstrained(chunks.next()) => chunk.ok_or(FollowError::Ended)?,
                // Nothing is acknowledged, so nobody sends again what was on the way over the connection before.
                _ = connections.changed() => return Err(FollowError::Reconnected),
            };
            let mut messages = Vec::with_capacity(chunk.len());
            let mut broken = None;
            for message in chunk {
                let message = message?;
                let found = message.info().map_err(FollowError::Place)?.stream_sequence;
                if found != next {
                    let gap = Gap { expected: next, found };
                    if begun || suspected != Some(gap) || found < next {
                        broken = Some(gap);
                        break;
                    }
                    missed(name, next, found - 1);
                }
                begun = true;
                next = found + 1;
                messages.push(received(&consumer_name, message.message));
            }
            if !messages.is_empty() {
                let batch = read(&*state, &messages);
                if sender.send(Chunk { messages, batch, last: next - 1 }).await.is_err() {
                    return Ok(());
                }
            }
            if let Some(gap) = broken {
                return Err(FollowError::Gap(gap));
            }
        }
    }
}

/// Reads, so that a panic is the messages' failure and not the follower's end.
fn read<S: Follow>(state: &S, messages: &[Received]) -> Option<S::Batch> {
    catch_unwind(AssertUnwindSafe(|| state.read(messages))).ok()
}

fn received(consumer: &str, message: async_nats::Message) -> Received {
    Received {
        key: key(&message.subject, &message.payload),
        headers: envelope::header_values(message.headers.as_ref()),
        subject: message.subject.into_string(),
        body: message.payload,
        deliveries: 1,
        consumer: consumer.to_owned(),
    }
}

/// What a followed message is known by when it is set aside: what it says. So one that was published twice is set
/// aside once, and no two that differ are taken for one.
pub fn key(subject: &str, body: &Bytes) -> String {
    let mut hash = Sha256::new();
    hash.update(u64::try_from(subject.len()).unwrap_or_default().to_be_bytes());
    hash.update(subject);
    hash.update(body);
    // Every message gets one: no allocation for each byte.
    let mut hex = String::with_capacity(64);
    for byte in hash.finalize() {
        hex.extend([byte >> 4, byte & 0xf].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
    }
    hex
}

async fn commit<S: Follow>(
    follower: &Follower<S>,
    connection: &mut PgConnection,
    from: Option<Position>,
    to: Position,
    chunk: Chunk<S::Batch>,
) -> Result<(), FollowError> {
    let Chunk { messages, batch, last: _ } = chunk;
    if let Some(batch) = batch {
        match attempt(follower, connection, from, to, &messages, batch).await {
            Err(FollowError::Take(error)) if !error.is_infrastructure() => {
                warn!(%error, stream = follower.stream.name(), "a batch failed; taking its messages one by one");
            }
            other => return other,
        }
    }
    // One of them stands in the way of the rest. The position moves with each.
    let first = to.sequence + 1 - u64::try_from(messages.len()).unwrap_or_default();
    let mut from = from;
    for (sequence, message) in (first..).zip(&messages) {
        let to = Position { sequence, ..to };
        one(follower, connection, from, to, message).await?;
        from = Some(to);
    }
    Ok(())
}

async fn attempt<S: Follow>(
    follower: &Follower<S>,
    connection: &mut PgConnection,
    from: Option<Position>,
    to: Position,
    messages: &[Received],
    batch: S::Batch,
) -> Result<(), FollowError> {
    let mut tx = connection.begin().await?;
    let take = async {
        let outcomes = follower.state.take(&mut tx, batch).await?;
        failpoint::reach("follow.taken");
        Ok(outcomes)
    };
    let outcomes = caught(take).await.flatten().map_err(FollowError::Take)?;
    if outcomes.len() != messages.len() || outcomes.iter().any(|o| matches!(o, Outcome::RetryAfter(_))) {
        return Err(FollowError::Take(BadOutcomes.into()));
    }
    let aside: Vec<Parking<'_>> = messages.iter().zip(&outcomes).filter_map(parking).collect();
    let parking = parked::park_all(&mut tx, follower.service, &aside, Utc::now()).await;
    parking.map_err(|error| FollowError::Take(error.into()))?;
    if !follower.state.advance(&mut tx, from, to).await.map_err(FollowError::Take)? {
        return Err(FollowError::Overtaken);
    }
    tx.commit().await?;
    failpoint::reach("follow.committed");
    if !aside.is_empty() {
        metrics::counter!("messages_parked_total").increment(u64::try_from(aside.len()).unwrap_or_default());
    }
    Ok(())
}

/// A handler's outcomes do not fit its batch.
#[derive(Debug, thiserror::Error)]
#[error("a batch has one outcome per message, and none is asked for again")]
struct BadOutcomes;

fn parking<'a>((received, outcome): (&'a Received, &'a Outcome)) -> Option<Parking<'a>> {
    match outcome {
        Outcome::Done | Outcome::RetryAfter(_) => None,
        Outcome::Park(reason) => Some(Parking { received, reason, waits_for: None }),
        Outcome::Await { reason, thing } => Some(Parking { received, reason, waits_for: Some(thing) }),
    }
}

/// Takes one message; one that fails again and again is set aside, so that it does not stand before the rest.
async fn one<S: Follow>(
    follower: &Follower<S>,
    connection: &mut PgConnection,
    from: Option<Position>,
    to: Position,
    message: &Received,
) -> Result<(), FollowError> {
    let mut failed = 0;
    loop {
        let Some(batch) = read(&*follower.state, std::slice::from_ref(message)) else {
            return set_aside(follower, connection, from, to, message, "reading it panicked").await;
        };
        let error = match attempt(follower, connection, from, to, std::slice::from_ref(message), batch).await
        {
            Err(FollowError::Take(error)) if !error.is_infrastructure() => error,
            other => return other,
        };
        // Somebody else holds what it needs: that ends, and is no fault of the message's.
        if error.is_busy() {
            warn!(%error, message.subject = %message.subject, "met a lock; trying again");
        } else {
            failed += 1;
            if failed >= FAILURES_MAX {
                let reason = format!("failed {failed} times, at last: {error}");
                return set_aside(follower, connection, from, to, message, &reason).await;
            }
            warn!(%error, message.subject = %message.subject, failed, "taking a message failed; trying again");
        }
        tokio::select! {
            () = follower.shutdown.cancelled() => return Err(FollowError::Ended),
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

async fn set_aside<S: Follow>(
    follower: &Follower<S>,
    connection: &mut PgConnection,
    from: Option<Position>,
    to: Position,
    message: &Received,
    reason: &str,
) -> Result<(), FollowError> {
    error!(message.subject = %message.subject, reason, "parked a message");
    let mut tx = connection.begin().await?;
    let aside = [Parking { received: message, reason, waits_for: None }];
    parked::park_all(&mut tx, follower.service, &aside, Utc::now()).await?;
    if !follower.state.advance(&mut tx, from, to).await.map_err(FollowError::Take)? {
        return Err(FollowError::Overtaken);
    }
    tx.commit().await?;
    metrics::counter!("messages_parked_total").increment(1);
    Ok(())
}
