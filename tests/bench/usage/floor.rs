//! The bare loop: messages as they come, the fields and nothing else read of them, meterer's own statements in one
//! transaction, an acknowledgement. No checks, no fingerprints, no position, no producers, nothing set aside.

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use async_nats::jetstream::{
    AckKind, Message,
    consumer::{AckPolicy, DeliverPolicy, pull},
};
use chrono::{DateTime, SubsecRound, Utc};
use contracts::{Service, ids::DeploymentId};
use futures::StreamExt;
use meterer::{
    domain::llm_usage::{Fingerprint, Recorded, Tokens},
    store::llm_usage,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::{sync::mpsc, task::JoinSet};
use uuid::Uuid;

use super::{Producer, Progress, Run, lab::Lab};

/// Messages that share a transaction, and messages asked for ahead.
const BATCH: usize = 1_000;
const AHEAD: usize = 2 * BATCH;

/// What is read of an event.
#[derive(Deserialize)]
struct Event<'a> {
    gateway_request_id: &'a str,
    tenant_id: &'a str,
    deployment_id: Uuid,
    provider: &'a str,
    model: &'a str,
    prompt_tokens: i64,
    completion_tokens: i64,
    cached_tokens: i64,
    charge: &'a str,
    currency: &'a str,
    occurred_at: DateTime<Utc>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

fn read(body: &[u8]) -> Recorded {
    let event: Event<'_> = serde_json::from_slice(body).expect("the generator writes events");
    Recorded {
        id: event.gateway_request_id.parse().expect("an id"),
        tenant_id: event.tenant_id.parse().expect("a tenant"),
        deployment_id: DeploymentId::from_uuid(event.deployment_id),
        provider: event.provider.to_owned(),
        model: event.model.to_owned(),
        tokens: Tokens {
            prompt: event.prompt_tokens,
            completion: event.completion_tokens,
            cached: event.cached_tokens,
        },
        charge: event.charge.parse().expect("a charge"),
        currency: event.currency.parse().expect("a currency"),
        occurred_at: event.occurred_at,
        metadata: event.metadata.map_or("{}", RawValue::get).to_owned(),
        fingerprint: Fingerprint::from_bytes(event.deployment_id.as_bytes()).expect("sixteen bytes"),
    }
}

/// Workers that take what is in the stream until they are dropped, and how many events each commit had.
pub struct Workers {
    pub commits: mpsc::UnboundedReceiver<(Instant, u64)>,
    _workers: JoinSet<()>,
}

/// Starts workers on what comes after a sequence.
pub async fn start(lab: &Lab, after: u64, workers: usize) -> Workers {
    let name = format!("floor-{}", Uuid::new_v4().simple());
    let config = pull::Config {
        durable_name: Some(name.clone()),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
        ack_policy: if workers == 1 { AckPolicy::All } else { AckPolicy::Explicit },
        max_ack_pending: 10 * i64::try_from(AHEAD).expect("a small number"),
        inactive_threshold: Duration::from_secs(60),
        ..pull::Config::default()
    };
    let consumer = lab.usage.create_consumer(config).await.expect("a consumer can be made");
    let (sender, commits) = mpsc::unbounded_channel();
    let mut running = JoinSet::new();
    for _ in 0..workers {
        let mut connection = lab.world.database(Service::Meterer).connect().await.expect("postgres is there");
        let messages = consumer.stream().max_messages_per_batch(AHEAD).messages().await;
        let mut chunks = messages.expect("messages can be asked for").ready_chunks(BATCH);
        let sender = sender.clone();
        running.spawn(async move {
            // Without it, Tokio would end a chunk at 128 messages.
            while let Some(chunk) = tokio::task::unconstrained(Pin::new(&mut chunks).next()).await {
                let chunk: Vec<Message> =
                    chunk.into_iter().map(|message| message.expect("a message")).collect();
                let mut events: Vec<Recorded> = chunk.iter().map(|message| read(&message.payload)).collect();
                events.sort_unstable_by(|one, other| one.id.cmp(&other.id));
                ingest(&mut connection, &events).await;
                let count = u64::try_from(chunk.len()).expect("a small number");
                // Whoever counts may have enough.
                sender.send((Instant::now(), count)).ok();
                if workers == 1 {
                    chunk[chunk.len() - 1].double_ack().await.expect("an ack is taken");
                } else {
                    for message in &chunk {
                        message.ack_with(AckKind::Ack).await.expect("an ack can be sent");
                    }
                }
            }
        });
    }
    Workers { commits, _workers: running }
}

async fn ingest(connection: &mut PgConnection, events: &[Recorded]) {
    let events: Vec<&Recorded> = events.iter().collect();
    let mut tx = connection.begin().await.expect("a transaction");
    llm_usage::ingest(&mut tx, &events, Utc::now().trunc_subsecs(6)).await.expect("events are taken");
    tx.commit().await.expect("a commit");
}

pub async fn take(lab: &mut Lab, events: u64, producer: Producer, workers: usize) -> Run {
    let plan = lab.plan(events);
    let before = lab.empty_stream().await;
    if producer == Producer::Before {
        lab.publish(&plan).await;
    }
    lab.settle().await;
    let own = i32::try_from(std::process::id()).expect("a process id");
    let cpu = lab.cpu(own);
    let mut running = start(lab, before, workers).await;
    let beside = (producer == Producer::Beside).then(|| (lab.start_producer(plan.clone()), Instant::now()));
    let (mut progress, mut committed, mut published) = (Progress::default(), 0, None);
    while committed < events {
        let (at, count) = running.commits.recv().await.expect("the workers go on");
        committed += count;
        progress.note(at, committed);
        if let Some((program, begun)) = &beside
            && published.is_none()
            && program.process.status().is_some()
        {
            published = Some(begun.elapsed());
        }
    }
    let after = lab.cpu(own);
    drop(running);
    let commits = lab.check(&plan).await;
    let (events, elapsed) = progress.between();
    let cpu = std::array::from_fn(|part| after[part].saturating_sub(cpu[part]));
    Run {
        events,
        elapsed,
        commits,
        cpu,
        producer: published.or(beside.map(|(_, begun)| begun.elapsed())),
        resident: 0,
    }
}
