//! Makes streams, durable consumers and schedules as `nats/` and the contracts say. The deploy job runs it once per
//! account, as the users `admin` and `llm-gateway-admin`; services never do.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use async_nats::{
    HeaderMap,
    header::{NATS_SCHEDULE, NATS_SCHEDULE_TARGET, NATS_SCHEDULE_TTL},
    jetstream::{
        consumer::{AckPolicy, DeliverPolicy, pull},
        stream::{Config, RetentionPolicy, Source, StorageType, SubjectTransform},
    },
};
use contracts::{
    permissions,
    streams::{self, Stream},
};
use futures::StreamExt;
use serde::Deserialize;
use tracing::info;

use crate::connection::Nats;

/// `nats/` cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// A file cannot be read.
    #[error("read {0}")]
    Read(String, #[source] std::io::Error),
    /// A file does not fit.
    #[error("parse {0}")]
    Parse(String, #[source] serde_json::Error),
    /// A stream of the contracts has no entry, or an entry no stream.
    #[error("nats/streams.json and the contracts disagree about {0}")]
    Unknown(String),
    /// The server refused or did not answer.
    #[error("{what}")]
    Server {
        /// What was attempted.
        what: String,
        /// Why it failed.
        #[source]
        source: async_nats::Error,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
struct StreamLimits {
    #[serde(default)]
    work_queue: bool,
    #[serde(default)]
    schedules: bool,
    #[serde(default)]
    atomic_batches: bool,
    #[serde(default)]
    messages_per_subject: Option<i64>,
    #[serde(default)]
    age_days: Option<u64>,
    #[serde(default)]
    duplicate_window_seconds: Option<u64>,
    message_bytes: i32,
    replicas: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Schedule {
    cron: String,
    job: String,
    #[serde(default)]
    expires_seconds: Option<u64>,
}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Schedules that were new or different.
    pub schedules_changed: Vec<String>,
    /// Schedules that are no longer in the file.
    pub schedules_removed: Vec<String>,
}

/// How long the server has for one request.
const CONNECT_WAIT: Duration = Duration::from_secs(15);

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, ProvisionError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| ProvisionError::Read(name.clone(), e))?;
    serde_json::from_str(&text).map_err(|e| ProvisionError::Parse(name, e))
}

fn server<E: Into<async_nats::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> ProvisionError {
    let what = what.into();
    move |source| ProvisionError::Server { what, source: source.into() }
}

/// Applies the folder `nats/` to the account of the connection's user. Running it again changes nothing.
pub async fn apply(nats: &Nats, folder: &Path) -> Result<Applied, ProvisionError> {
    let limits: BTreeMap<String, StreamLimits> = read(&folder.join("streams.json"))?;
    let schedules: BTreeMap<String, Schedule> = read(&folder.join("schedules.json"))?;
    let names: BTreeSet<&str> = Stream::ALL.into_iter().map(Stream::name).collect();
    if let Some(unknown) = limits.keys().find(|name| !names.contains(name.as_str())) {
        return Err(ProvisionError::Unknown(unknown.clone()));
    }
    tokio::time::timeout(CONNECT_WAIT, nats.client.flush())
        .await
        .map_err(server("reach nats"))?
        .map_err(server("reach nats"))?;

    let account = permissions::account(&nats.user);
    for stream in Stream::ALL.into_iter().filter(|stream| stream.account() == account) {
        let limits =
            limits.get(stream.name()).ok_or_else(|| ProvisionError::Unknown(stream.name().to_owned()))?;
        nats.jetstream
            .create_or_update_stream(config(stream, limits))
            .await
            .map_err(server(format!("create stream {}", stream.name())))?;
    }
    for consumer in streams::consumers().into_iter().filter(|consumer| consumer.stream.account() == account) {
        let what = format!("create consumer {}", consumer.name);
        nats.jetstream
            .create_consumer_on_stream(consumer_config(&consumer), consumer.stream.name())
            .await
            .map_err(server(what))?;
    }
    if Stream::Jobs.account() != account {
        return Ok(Applied::default());
    }
    apply_schedules(nats, &schedules).await
}

fn config(stream: Stream, limits: &StreamLimits) -> Config {
    let sources = stream.compacts().map(|(filter, into)| {
        let transform = SubjectTransform { source: filter.to_owned(), destination: into.to_owned() };
        vec![Source {
            name: Stream::Events.name().to_owned(),
            subject_transforms: vec![transform],
            ..Source::default()
        }]
    });
    Config {
        name: stream.name().to_owned(),
        subjects: stream.subjects().iter().map(|subject| (*subject).to_owned()).collect(),
        sources,
        retention: if limits.work_queue { RetentionPolicy::WorkQueue } else { RetentionPolicy::Limits },
        storage: StorageType::File,
        num_replicas: limits.replicas,
        max_messages_per_subject: limits.messages_per_subject.unwrap_or(-1),
        max_message_size: limits.message_bytes,
        max_age: Duration::from_secs(limits.age_days.unwrap_or(0) * 86_400),
        duplicate_window: Duration::from_secs(limits.duplicate_window_seconds.unwrap_or(120)),
        allow_message_schedules: limits.schedules,
        allow_message_ttl: limits.schedules,
        allow_rollup: limits.schedules,
        allow_atomic_publish: limits.atomic_batches,
        allow_direct: true,
        ..Config::default()
    }
}

fn consumer_config(consumer: &streams::Consumer) -> pull::Config {
    pull::Config {
        durable_name: Some(consumer.name.clone()),
        filter_subject: consumer.filter.clone(),
        deliver_policy: if consumer.stream.compacts().is_some() {
            DeliverPolicy::LastPerSubject
        } else {
            DeliverPolicy::All
        },
        ack_policy: AckPolicy::Explicit,
        ack_wait: Duration::from_secs(30),
        // Unlimited: a message past a limit would be neither delivered nor seen. The handler loop counts.
        max_deliver: -1,
        max_ack_pending: i64::from(consumer.max_ack_pending),
        ..pull::Config::default()
    }
}

async fn apply_schedules(
    nats: &Nats,
    schedules: &BTreeMap<String, Schedule>,
) -> Result<Applied, ProvisionError> {
    let jobs = nats.jetstream.get_stream(Stream::Jobs.name()).await.map_err(server("find stream JOBS"))?;
    let mut applied = Applied::default();

    let mut present = jobs.info_with_subjects("schedule.>").await.map_err(server("list schedules"))?;
    let mut stale = Vec::new();
    while let Some(subject) = present.next().await {
        let (subject, _) = subject.map_err(server("list schedules"))?;
        let name = subject.strip_prefix("schedule.").unwrap_or(&subject).to_owned();
        if !schedules.contains_key(&name) {
            stale.push((subject, name));
        }
    }
    for (subject, name) in stale {
        jobs.purge().filter(subject).await.map_err(server(format!("remove schedule {name}")))?;
        applied.schedules_removed.push(name);
    }
    for (name, schedule) in schedules {
        let subject = format!("schedule.{name}");
        let mut headers = HeaderMap::new();
        headers.insert(NATS_SCHEDULE, schedule.cron.as_str());
        headers.insert(NATS_SCHEDULE_TARGET, schedule.job.as_str());
        if let Some(seconds) = schedule.expires_seconds {
            headers.insert(NATS_SCHEDULE_TTL, format!("{seconds}s").as_str());
        }
        // Publishing a schedule anew forgets a slot that fell due while the server was down, so only a changed
        // one is.
        let same = match jobs.get_last_raw_message_by_subject(&subject).await {
            Ok(stored) => [NATS_SCHEDULE, NATS_SCHEDULE_TARGET, NATS_SCHEDULE_TTL]
                .into_iter()
                .all(|header| stored.headers.get(header.clone()) == headers.get(header)),
            Err(_) => false,
        };
        if same {
            continue;
        }
        let published = nats
            .jetstream
            .publish_with_headers(subject, headers, "{}".into())
            .await
            .map_err(server(format!("set schedule {name}")))?;
        published.await.map_err(server(format!("set schedule {name}")))?;
        applied.schedules_changed.push(name.clone());
    }
    info!(changed = ?applied.schedules_changed, removed = ?applied.schedules_removed, "schedules applied");
    Ok(applied)
}

/// Puts one tick of every schedule into the work queue now, so that a new installation need not wait for its
/// first slots.
pub async fn tick_now(nats: &Nats, folder: &Path) -> Result<(), ProvisionError> {
    let schedules: BTreeMap<String, Schedule> = read(&folder.join("schedules.json"))?;
    let now = chrono::Utc::now().to_rfc3339();
    for (name, schedule) in schedules {
        let mut headers = HeaderMap::new();
        headers.insert(contracts::envelope::MSG_ID, format!("start.{name}@{now}").as_str());
        let published = nats
            .jetstream
            .publish_with_headers(schedule.job.clone(), headers, "{}".into())
            .await
            .map_err(server(format!("tick {name}")))?;
        published.await.map_err(server(format!("tick {name}")))?;
    }
    Ok(())
}
