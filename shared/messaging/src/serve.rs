//! Answers requests through the NATS services API, so that `$SRV.PING`, `INFO` and `STATS` list us.

use std::{sync::Arc, time::Duration};

use async_nats::{
    HeaderMap,
    service::{self, NATS_SERVICE_ERROR, NATS_SERVICE_ERROR_CODE, ServiceExt},
};
use bytes::Bytes;
use chrono::Utc;
use contracts::{
    Command, Problem, Query, envelope,
    outbox::{RepublishOutbox, Republished},
    parked::{DismissParked, GetParked, ListParked, ParkedStatus, ReplayParked},
};
use futures::{StreamExt, future::BoxFuture};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use sqlx::{Acquire, PgConnection};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, error, info_span, warn};

use crate::{
    connection::Nats,
    consume,
    envelope::header_values,
    handlers::{Answer, Execute},
    inbox::{self, Claim},
    outbox::{self, Draft},
    outcome::{HandlerError, Outcome, Refusal},
    parked,
    request::{IdempotencyKey, Replied},
    scoped::ScopedTx,
    subscriptions::{Context, How},
};

/// Requests one service works on at once; more wait in the subscription.
const REQUESTS_AT_ONCE: usize = 256;
/// Largest answer; below `max_payload` of nats/server.conf.
const ANSWER_BYTES_MAX: usize = 1_000_000;
/// Between attempts to register with the server.
const RETRY: Duration = Duration::from_millis(500);
/// The version `$SRV.INFO` shows.
const VERSION: &str = "1.0.0";

/// A request as it arrived.
pub(crate) struct Asked {
    subject: String,
    body: Bytes,
    key: Option<String>,
}

/// Answers until `shutdown`, then finishes what was begun; `tasks` holds it.
pub(crate) async fn run<S: Send + Sync + 'static>(
    context: Context<S>,
    nats: Nats,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    while let Err(error) = register(&context, &nats, &tasks, &shutdown).await {
        warn!(%error, "could not register with nats; trying again");
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn register<S: Send + Sync + 'static>(
    context: &Context<S>,
    nats: &Nats,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<(), async_nats::Error> {
    let name = context.service.name();
    let service = nats
        .client
        .service_builder()
        .description(format!("Arcadia Cloud {name}"))
        .queue_group(name)
        .start(name, VERSION)
        .await?;
    let permits = Arc::new(Semaphore::new(REQUESTS_AT_ONCE));
    let mut endpoints = Vec::new();
    for request in &context.subscriptions.requests {
        let endpoint_name = request.subject.replace('.', "-");
        let endpoint = service.endpoint_builder().name(endpoint_name).add(&request.subject).await?;
        endpoints.push((endpoint, request.respond));
    }
    for (mut endpoint, respond) in endpoints {
        let (context, permits, shutdown) = (context.clone(), Arc::clone(&permits), shutdown.clone());
        let requests = tasks.clone();
        tasks.spawn(async move {
            loop {
                let request = tokio::select! {
                    request = endpoint.next() => request,
                    () = shutdown.cancelled() => break,
                };
                let Some(request) = request else { break };
                let permit = Arc::clone(&permits).acquire_owned().await;
                let context = context.clone();
                requests.spawn(async move {
                    answer(context, respond, request).await;
                    drop(permit);
                });
            }
            if let Err(error) = endpoint.stop().await {
                warn!(%error, "could not unsubscribe an endpoint");
            }
            // What the server had already handed over is still answered.
            while let Some(request) = endpoint.next().await {
                answer(context.clone(), respond, request).await;
            }
        });
    }
    let stop = shutdown.clone();
    tasks.spawn(async move {
        stop.cancelled().await;
        // Dropping the service any earlier would end its discovery endpoints.
        drop(service);
    });
    Ok(())
}

async fn answer<S: Send + Sync + 'static>(
    context: Context<S>,
    respond: Respond<S>,
    request: service::Request,
) {
    let message = &request.message;
    // Permissions do not check the reply subject: answering anywhere but to an inbox would let a caller
    // publish where only we may.
    if !message.reply.as_ref().is_some_and(|reply| reply.starts_with("_INBOX")) {
        warn!(message.subject = %message.subject, "dropped a request whose reply is no inbox");
        metrics::counter!("requests_dropped_total").increment(1);
        return;
    }
    let headers = header_values(message.headers.as_ref());
    let span = info_span!("answer", message.subject = %message.subject);
    if let Some(traceparent) = headers.get(envelope::TRACEPARENT) {
        telemetry::propagation::set_parent(&span, traceparent);
    }
    let asked = Asked {
        subject: message.subject.to_string(),
        body: message.payload.clone(),
        key: headers.get(envelope::IDEMPOTENCY_KEY).cloned(),
    };
    let subject = asked.subject.clone();
    let outcome = consume::caught(respond(context, asked).instrument(span))
        .await
        .unwrap_or_else(|panic| Err(Refusal::Failed(panic)));
    let (body, headers) = match outcome {
        Ok(replied) if replied.body.len() > ANSWER_BYTES_MAX => {
            let detail = "The answer is too large to send. Ask for less, with a smaller limit.";
            problem_answer(&subject, Problem::new(422, "Unprocessable Content", detail).into())
        }
        Ok(replied) => {
            let mut headers = HeaderMap::new();
            if replied.replayed {
                headers.insert(envelope::REPLAYED, "true");
            }
            (replied.body, headers)
        }
        Err(refusal) => problem_answer(&subject, refusal),
    };
    if let Err(error) = request.respond_with_headers(Ok(body), headers).await {
        warn!(%error, message.subject = subject, "could not answer");
    }
}

type Respond<S> = crate::subscriptions::Respond<S>;

fn problem_answer(subject: &str, refusal: Refusal) -> (Bytes, HeaderMap) {
    let problem = match refusal {
        Refusal::Problem(problem) => *problem,
        Refusal::Failed(cause) if cause.is_busy() => {
            warn!(error = %cause, message.subject = subject, "a request met a lock");
            Problem::conflict("Something else is changing the same thing right now. Ask again.")
        }
        Refusal::Failed(cause) if cause.is_infrastructure() => {
            error!(error = %cause, message.subject = subject, "the database cannot be used");
            Problem::unavailable("The database cannot be reached at the moment. Ask again.")
        }
        Refusal::Failed(cause) => {
            error!(error = %cause, message.subject = subject, "a request failed");
            Problem::internal()
        }
    };
    let mut headers = HeaderMap::new();
    headers.insert(NATS_SERVICE_ERROR, problem.title.as_str());
    headers.insert(NATS_SERVICE_ERROR_CODE, problem.status.to_string().as_str());
    headers.insert(envelope::CONTENT_TYPE, Problem::MEDIA_TYPE);
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    (body.into(), headers)
}

fn parse<T: DeserializeOwned>(asked: &Asked) -> Result<T, Refusal> {
    consume::parse(&asked.body).map_err(|reason| Problem::bad_request(reason).into())
}

fn fresh<T: Serialize>(reply: &T) -> Result<Replied, Refusal> {
    Ok(Replied { body: serde_json::to_vec(reply)?.into(), replayed: false })
}

pub(crate) fn query<S, Q>(context: Context<S>, asked: Asked) -> BoxFuture<'static, Result<Replied, Refusal>>
where
    Q: Query,
    S: Answer<Q>,
{
    Box::pin(async move {
        let query: Q = parse(&asked)?;
        let mut tx = ScopedTx::begin(&context.pool, context.service, query.scope()).await?;
        let reply = context.state.answer(&mut tx, query).await?;
        fresh(&reply)
    })
}

pub(crate) fn command<S, C>(context: Context<S>, asked: Asked) -> BoxFuture<'static, Result<Replied, Refusal>>
where
    C: Command,
    S: Execute<C>,
{
    Box::pin(async move {
        let command: C = parse(&asked)?;
        let state = Arc::clone(&context.state);
        once(&context, &asked, |tx| Box::pin(async move { state.execute(tx, command).await })).await
    })
}

/// Runs an effect under the request's idempotency key: the first time in a transaction with its inbox row, later
/// by the stored reply.
async fn once<S, R, F>(context: &Context<S>, asked: &Asked, effect: F) -> Result<Replied, Refusal>
where
    R: Serialize,
    F: for<'a> FnOnce(&'a mut PgConnection) -> BoxFuture<'a, Result<R, Refusal>>,
{
    let key = asked.key.as_deref().and_then(|key| IdempotencyKey::parse(key).ok()).ok_or_else(|| {
        Problem::bad_request("A command carries an idempotency key of 1 to 255 visible ASCII characters.")
    })?;
    let fingerprint = Sha256::digest(&asked.body);
    let mut tx = context.pool.begin().await?;
    match inbox::claim_command(&mut tx, &asked.subject, key.as_str(), &fingerprint).await? {
        Claim::Fresh => {}
        Claim::Replied(reply) => return Ok(Replied { body: reply.into(), replayed: true }),
        Claim::Mismatch => {
            let detail = "was used for a different request; use a new key";
            return Err(Problem::unprocessable("Idempotency-Key", detail).into());
        }
    }
    let reply = effect(&mut tx).await?;
    let replied = fresh(&reply)?;
    inbox::store_reply(&mut tx, &asked.subject, key.as_str(), &replied.body).await?;
    tx.commit().await?;
    Ok(replied)
}

pub(crate) fn list_parked<S: Send + Sync + 'static>(
    context: Context<S>,
    asked: Asked,
) -> BoxFuture<'static, Result<Replied, Refusal>> {
    Box::pin(async move {
        let query: ListParked = parse(&asked)?;
        let mut connection = context.pool.acquire().await?;
        fresh(&parked::list(&mut connection, context.service, &query).await?)
    })
}

pub(crate) fn get_parked<S: Send + Sync + 'static>(
    context: Context<S>,
    asked: Asked,
) -> BoxFuture<'static, Result<Replied, Refusal>> {
    Box::pin(async move {
        let query: GetParked = parse(&asked)?;
        let mut connection = context.pool.acquire().await?;
        fresh(&parked::get(&mut connection, context.service, &query).await?)
    })
}

pub(crate) fn dismiss_parked<S: Send + Sync + 'static>(
    context: Context<S>,
    asked: Asked,
) -> BoxFuture<'static, Result<Replied, Refusal>> {
    Box::pin(async move {
        let command: DismissParked = parse(&asked)?;
        let service = context.service;
        once(&context, &asked, |tx| Box::pin(async move { parked::dismiss(tx, service, &command).await }))
            .await
    })
}

pub(crate) fn replay_parked<S: Send + Sync + 'static>(
    context: Context<S>,
    asked: Asked,
) -> BoxFuture<'static, Result<Replied, Refusal>> {
    Box::pin(async move {
        let command: ReplayParked = parse(&asked)?;
        let own = context.clone();
        once(&context, &asked, |tx| Box::pin(async move { replay(&own, tx, &command).await })).await
    })
}

/// Handles a parked message again, here and now where that is a matter of Postgres alone, else by way of the
/// work queue.
async fn replay<S: Send + Sync + 'static>(
    context: &Context<S>,
    tx: &mut PgConnection,
    command: &ReplayParked,
) -> Result<contracts::parked::ParkedSummary, Refusal> {
    let received = parked::lock_waiting(tx, command.id).await?.into_received();
    let subscriptions = &context.subscriptions;
    if let Some(followed) = subscriptions.followed.iter().find(|f| f.consumer == received.consumer) {
        let mut savepoint = tx.begin().await?;
        let outcome = (followed.handle)(&context.state, &mut savepoint, &received).await;
        settled(outcome.map_err(Refusal::Failed)?)?;
        savepoint.commit().await?;
        return parked::settle(
            tx,
            context.service,
            command.id,
            ParkedStatus::Replayed,
            &command.actor.subject,
        )
        .await;
    }
    let delivery = subscriptions.deliveries.iter().find(|d| d.consumer == received.consumer);
    let Some(delivery) = delivery else {
        return Err(Problem::conflict("Nothing handles this subject any more; dismiss the message.").into());
    };
    match &delivery.how {
        How::InTx(handle) => {
            let mut savepoint = tx.begin().await?;
            let key = std::slice::from_ref(&received.key);
            // A message that was parked and then handled after all, because the server had not heard of the
            // parking, is not handled a second time.
            if inbox::claim(&mut savepoint, &received.consumer, key).await?.is_empty() {
                savepoint.rollback().await?;
                return parked::settle(
                    tx,
                    context.service,
                    command.id,
                    ParkedStatus::Replayed,
                    &command.actor.subject,
                )
                .await;
            }
            let outcome: Result<Outcome, HandlerError> =
                handle(&context.state, &mut savepoint, &received).await;
            settled(outcome.map_err(Refusal::Failed)?)?;
            savepoint.commit().await?;
        }
        How::Outside(_) => {
            if let Err(reason) = consume::check(&received.body) {
                return Err(Problem::conflict(format!("It still cannot be handled: {reason}")).into());
            }
            let draft = Draft::again(context.service, &received.subject, received.body.to_vec(), Utc::now())?;
            outbox::add(tx, &[draft]).await?;
        }
    }
    parked::settle(tx, context.service, command.id, ParkedStatus::Replayed, &command.actor.subject).await
}

fn settled(outcome: Outcome) -> Result<(), Refusal> {
    match outcome {
        Outcome::Done => Ok(()),
        Outcome::Park(reason) | Outcome::Await { reason, thing: _ } => {
            Err(Problem::conflict(format!("It still cannot be handled: {reason}")).into())
        }
        Outcome::RetryAfter(_) => {
            Err(Problem::conflict("It cannot be handled just now; ask again later.").into())
        }
    }
}

pub(crate) fn republish_outbox<S: Send + Sync + 'static>(
    context: Context<S>,
    asked: Asked,
) -> BoxFuture<'static, Result<Replied, Refusal>> {
    Box::pin(async move {
        let command: RepublishOutbox = parse(&asked)?;
        let (state, restate) = (Arc::clone(&context.state), context.subscriptions.restate);
        once(&context, &asked, |tx| {
            Box::pin(async move {
                let mut messages = outbox::republish(tx, command.since).await?;
                if let Some(restate) = restate {
                    messages += restate(&state, tx).await?;
                }
                Ok(Republished { messages })
            })
        })
        .await
    })
}
