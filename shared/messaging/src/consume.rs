//! The one handler loop for streams: receive → parse → inbox → handle → commit → acknowledge.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    panic::AssertUnwindSafe,
    time::Duration,
};

use async_nats::jetstream::{
    self, AckKind,
    consumer::{Consumer, pull},
};
use chrono::Utc;
use contracts::Message;
use futures::{FutureExt, StreamExt, future::BoxFuture};
use serde::de::DeserializeOwned;
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info_span, warn};

use crate::{
    connection::Nats,
    envelope::{self, Received},
    failpoint,
    handlers::{Handle, Intended, Perform},
    inbox,
    outcome::{HandlerError, Outcome},
    parked::{self, Parking},
    subscriptions::{Context, Delivery, How},
};

/// Failures of one message, seen by this process, before it is parked. Deliveries are more: a wait, an outage or a
/// restart is no failure of the message's.
pub(crate) const FAILURES_MAX: u32 = 8;
/// Deliveries after which a message is parked unseen: it probably kills us.
const DELIVERIES_ABSURD: i64 = 1_000;
/// How long after each failed delivery the next comes; the last repeats.
const BACKOFF: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
];
/// Between looks whether Postgres is back, and how long they go on before the message is given back.
const OUTAGE_DELAY: Duration = Duration::from_secs(2);
const OUTAGE_LOOKS: u32 = 30;
/// After somebody else held what was needed.
const BUSY_DELAY: Duration = Duration::from_millis(500);
/// Messages that share a transaction.
const BATCH: usize = 200;
/// How long one pull waits for messages.
const PULL_EXPIRES: Duration = Duration::from_secs(20);
/// Between attempts after the server refused or was not there; without it a leader election is a busy loop.
const RETRY: Duration = Duration::from_millis(250);
/// How often a long job tells the server that it is alive; well below the consumer's ack_wait of 30 s.
const PROGRESS: Duration = Duration::from_secs(8);
/// How long a job may go on after shutdown was asked for.
const GRACE: Duration = Duration::from_secs(8);

/// A handler panicked; the panic hook has logged where.
#[derive(Debug, thiserror::Error)]
#[error("the handler panicked")]
struct Panicked;

/// Runs a handler so that its panic is its failure and not the consumer's end.
pub(crate) async fn caught<T>(work: impl Future<Output = T>) -> Result<T, HandlerError> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_panic| Panicked.into())
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Whether a body is a JSON object at all.
pub(crate) fn check(body: &[u8]) -> Result<(), String> {
    // serde would read a struct from an array too, by position.
    match body.iter().find(|c| !c.is_ascii_whitespace()) {
        Some(b'{') => {
            serde_json::from_slice::<serde::de::IgnoredAny>(body).map(drop).map_err(|e| e.to_string())
        }
        Some(_) => Err("the body is no JSON object".to_owned()),
        None => Err("the body is empty".to_owned()),
    }
}

/// Parses a body, or says why it cannot be.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    check(body)?;
    serde_json::from_slice(body).map_err(|error| format!("the body does not fit its type: {error}"))
}

pub(crate) fn handle<'a, S, M>(
    state: &'a S,
    tx: &'a mut PgConnection,
    received: &'a Received,
) -> BoxFuture<'a, Result<Outcome, HandlerError>>
where
    M: Message,
    S: Handle<M>,
{
    Box::pin(async move {
        match parse::<M>(&received.body) {
            Ok(message) => state.handle(tx, message, received).await,
            Err(reason) => Ok(Outcome::Park(reason)),
        }
    })
}

pub(crate) fn perform<'a, S, M>(
    context: &'a Context<S>,
    received: &'a Received,
) -> BoxFuture<'a, Result<Outcome, HandlerError>>
where
    M: Message,
    S: Perform<M>,
{
    Box::pin(async move {
        let message: M = match parse(&received.body) {
            Ok(message) => message,
            Err(reason) => return Ok(Outcome::Park(reason)),
        };
        let key = std::slice::from_ref(&received.key);
        let mut tx = context.pool.begin().await?;
        if inbox::contains(&mut tx, &received.consumer, &received.key).await? {
            return Ok(Outcome::Done);
        }
        let intent = match context.state.intend(&mut tx, &message, received).await? {
            Intended::Call(intent) => {
                tx.commit().await?;
                intent
            }
            Intended::Settled(outcome) => {
                if outcome == Outcome::Done {
                    inbox::claim(&mut tx, &received.consumer, key).await?;
                    tx.commit().await?;
                }
                return Ok(outcome);
            }
        };
        failpoint::reach("perform.intended");
        let answer = context.state.call(&intent).await?;
        failpoint::reach("perform.called");
        let mut tx = context.pool.begin().await?;
        let outcome = context.state.record(&mut tx, intent, answer).await?;
        // Somebody else has recorded the same slot: what we found out is dropped with the transaction.
        if outcome == Outcome::Done && inbox::claim(&mut tx, &received.consumer, key).await?.is_empty() {
            return Ok(outcome);
        }
        tx.commit().await?;
        failpoint::reach("perform.recorded");
        Ok(outcome)
    })
}

/// Consumes one subject until `shutdown`.
pub(crate) async fn run<S: Send + Sync + 'static>(
    context: Context<S>,
    index: usize,
    nats: Nats,
    shutdown: CancellationToken,
) {
    let delivery = &context.subscriptions.deliveries[index];
    while !shutdown.is_cancelled() {
        let ended = tokio::select! {
            ended = consume(&context, delivery, &nats, &shutdown) => ended,
            () = shutdown.cancelled(), if matches!(delivery.how, How::InTx(_)) => return,
        };
        if let Err(error) = ended {
            warn!(%error, consumer = delivery.consumer, "consuming starts over");
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn consume<S: Send + Sync + 'static>(
    context: &Context<S>,
    delivery: &Delivery<S>,
    nats: &Nats,
    shutdown: &CancellationToken,
) -> Result<(), async_nats::Error> {
    let consumer: Consumer<pull::Config> =
        nats.jetstream.get_consumer_from_stream(&delivery.consumer, delivery.stream.name()).await?;
    let mut failures = HashMap::new();
    match &delivery.how {
        How::Outside(perform) => {
            while !shutdown.is_cancelled() {
                let mut messages = tokio::select! {
                    messages = consumer.batch().max_messages(1).expires(PULL_EXPIRES).messages() => messages?,
                    () = shutdown.cancelled() => return Ok(()),
                };
                loop {
                    let message = tokio::select! {
                        message = messages.next() => message,
                        () = shutdown.cancelled() => return Ok(()),
                    };
                    let Some(message) = message else { break };
                    let message = message?;
                    let received = received(delivery, &message);
                    let run = with_progress(perform(context, &received), &message, shutdown);
                    let outcome = match guard(&received) {
                        Some(park) => Ok(park),
                        None => caught(run.instrument(span(&received))).await.flatten(),
                    };
                    settle(context, &mut failures, &received, &message, outcome).await;
                }
            }
            Ok(())
        }
        How::InTx(handle) => {
            let messages = consumer
                .stream()
                .max_messages_per_batch(BATCH)
                .expires(PULL_EXPIRES)
                .heartbeat(PULL_EXPIRES / 4)
                .messages()
                .await?;
            let mut chunks = messages.ready_chunks(BATCH);
            while let Some(chunk) = chunks.next().await {
                let messages = chunk.into_iter().collect::<Result<Vec<_>, _>>()?;
                let batch: Vec<Received> =
                    messages.iter().map(|message| received(delivery, message)).collect();
                if together(context, *handle, &batch).await {
                    for message in &messages {
                        acknowledge(message, AckKind::Ack).await;
                    }
                    continue;
                }
                // One of them stands in the way of the rest: each by itself.
                for (message, received) in messages.iter().zip(&batch) {
                    let outcome = match guard(received) {
                        Some(park) => Ok(park),
                        None => caught(alone(context, *handle, received).instrument(span(received)))
                            .await
                            .flatten(),
                    };
                    settle(context, &mut failures, received, message, outcome).await;
                }
            }
            Ok(())
        }
    }
}

fn received<S>(delivery: &Delivery<S>, message: &jetstream::Message) -> Received {
    let headers = envelope::header_values(message.headers.as_ref());
    let (sequence, deliveries) = message.info().map_or((0, 1), |info| (info.stream_sequence, info.delivered));
    Received {
        subject: message.subject.to_string(),
        key: envelope::key(&headers, delivery.stream.name(), sequence),
        headers,
        body: message.payload.clone(),
        deliveries,
        consumer: delivery.consumer.clone(),
    }
}

fn span(received: &Received) -> tracing::Span {
    let span = info_span!("handle", message.subject = %received.subject, message.key = %received.key);
    if let Some(traceparent) = received.traceparent() {
        telemetry::propagation::set_parent(&span, traceparent);
    }
    span
}

fn guard(received: &Received) -> Option<Outcome> {
    (received.deliveries > DELIVERIES_ABSURD)
        .then(|| Outcome::Park(format!("delivered {} times and never settled", received.deliveries)))
}

/// Handles a batch in one transaction; false when any of it was not plainly done, and nothing was kept.
async fn together<S>(
    context: &Context<S>,
    handle: crate::subscriptions::HandleInTx<S>,
    batch: &[Received],
) -> bool {
    let attempt = async {
        let mut tx = context.pool.begin().await?;
        let keys: Vec<String> = batch.iter().map(|received| received.key.clone()).collect();
        let consumer = &batch.first().map(|received| received.consumer.clone()).unwrap_or_default();
        let mut fresh: HashSet<String> = inbox::claim(&mut tx, consumer, &keys).await?.into_iter().collect();
        for received in batch {
            if guard(received).is_some() {
                return Ok(false);
            }
            // Removing handles a key that stands in the batch twice once.
            if fresh.remove(&received.key) {
                let handled = handle(&context.state, &mut tx, received).instrument(span(received)).await?;
                if handled != Outcome::Done {
                    return Ok(false);
                }
            }
        }
        failpoint::reach("handle.handled");
        tx.commit().await?;
        failpoint::reach("handle.committed");
        Ok::<bool, HandlerError>(true)
    };
    caught(attempt).await.flatten().unwrap_or(false)
}

async fn alone<S>(
    context: &Context<S>,
    handle: crate::subscriptions::HandleInTx<S>,
    received: &Received,
) -> Result<Outcome, HandlerError> {
    let mut tx = context.pool.begin().await?;
    if inbox::claim(&mut tx, &received.consumer, std::slice::from_ref(&received.key)).await?.is_empty() {
        return Ok(Outcome::Done);
    }
    let outcome = handle(&context.state, &mut tx, received).await?;
    if outcome == Outcome::Done {
        tx.commit().await?;
    }
    Ok(outcome)
}

async fn with_progress(
    work: BoxFuture<'_, Result<Outcome, HandlerError>>,
    message: &jetstream::Message,
    shutdown: &CancellationToken,
) -> Result<Outcome, HandlerError> {
    let stop = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::pin!(work, stop);
    loop {
        tokio::select! {
            outcome = &mut work => return outcome,
            // Dropped in the middle, as if the process had died; the message comes again.
            () = &mut stop => return Ok(Outcome::RetryAfter(Duration::ZERO)),
            () = tokio::time::sleep(PROGRESS) => acknowledge(message, AckKind::Progress).await,
        }
    }
}

/// Tells the server what became of a message, after everything is committed.
async fn settle<S>(
    context: &Context<S>,
    failures: &mut HashMap<String, u32>,
    received: &Received,
    message: &jetstream::Message,
    outcome: Result<Outcome, HandlerError>,
) {
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) if error.is_infrastructure() => {
            warn!(%error, message.subject = %received.subject, "the database cannot be used; waiting for it");
            wait_for_database(context, message).await;
            Outcome::RetryAfter(Duration::ZERO)
        }
        Err(error) if error.is_busy() => {
            warn!(%error, message.subject = %received.subject, "met a lock; trying again");
            Outcome::RetryAfter(BUSY_DELAY)
        }
        Err(error) => {
            let failed = failures.entry(received.key.clone()).or_insert(0);
            *failed += 1;
            if *failed >= FAILURES_MAX {
                Outcome::Park(format!("failed {failed} times, at last: {error}"))
            } else {
                warn!(%error, message.subject = %received.subject, failed, "handling failed; trying again");
                let tried = usize::try_from(*failed - 1).unwrap_or(usize::MAX);
                Outcome::RetryAfter(BACKOFF[tried.min(BACKOFF.len() - 1)])
            }
        }
    };
    if !matches!(outcome, Outcome::RetryAfter(_)) {
        failures.remove(&received.key);
    }
    let (reason, waits_for) = match outcome {
        Outcome::Done => return acknowledge(message, AckKind::Ack).await,
        Outcome::RetryAfter(delay) => return acknowledge(message, AckKind::Nak(Some(delay))).await,
        Outcome::Park(reason) => (reason, None),
        Outcome::Await { reason, thing } => (reason, Some(thing)),
    };
    let aside = Parking { received, reason: &reason, waits_for: waits_for.as_deref() };
    let ack = match park(context, &aside).await {
        Ok(()) => {
            error!(message.subject = %received.subject, message.key = %received.key, reason, "parked a message");
            metrics::counter!("messages_parked_total").increment(1);
            AckKind::Term
        }
        Err(error) => {
            error!(%error, message.subject = %received.subject, "could not park a message; trying again");
            AckKind::Nak(Some(OUTAGE_DELAY))
        }
    };
    acknowledge(message, ack).await;
}

async fn park<S>(context: &Context<S>, aside: &Parking<'_>) -> Result<(), HandlerError> {
    let mut tx = context.pool.begin().await?;
    parked::park_all(&mut tx, context.service, std::slice::from_ref(aside), Utc::now()).await?;
    tx.commit().await?;
    Ok(())
}

/// Keeps the message in hand until Postgres answers, so that an outage is one delivery and not hundreds.
async fn wait_for_database<S>(context: &Context<S>, message: &jetstream::Message) {
    for _ in 0..OUTAGE_LOOKS {
        acknowledge(message, AckKind::Progress).await;
        tokio::time::sleep(OUTAGE_DELAY).await;
        if context.pool.acquire().await.is_ok() {
            return;
        }
    }
}

async fn acknowledge(message: &jetstream::Message, kind: AckKind) {
    // An acknowledgement that is lost brings the message again, and the inbox knows it.
    if let Err(error) = message.ack_with(kind).await {
        warn!(%error, "could not acknowledge a message");
    }
}
