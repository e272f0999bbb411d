//! Streams and durable consumers: names and filters that code and permissions share. Limits and retention are
//! data in `nats/streams.json`; a test holds the two together.

use crate::{Service, catalogue, subject};

/// An account of NATS: what is said in one is not heard in another, unless exported and imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// The services'.
    Services,
    /// The LLM gateway's. Usage is kept here: a permission does not check the reply subject of a request, so a
    /// service could have JetStream publish into any stream of its own account.
    LlmGateway,
}

/// A JetStream stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// What happened in our services.
    Events,
    /// Priced LLM usage, by its producer: a trust domain of its own, as deduplication is stream-wide.
    Usage,
    /// Work queue, and the schedules that feed it.
    Jobs,
    /// Announcements of parked messages.
    Parked,
    /// The last event of every resource.
    Resources,
    /// The last event of every deployment.
    Deployments,
}

impl Stream {
    /// Every stream.
    pub const ALL: [Self; 6] =
        [Self::Events, Self::Usage, Self::Jobs, Self::Parked, Self::Resources, Self::Deployments];

    /// The stream's name on the server.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "EVENTS",
            Self::Usage => "USAGE",
            Self::Jobs => "JOBS",
            Self::Parked => "PARKED",
            Self::Resources => "RESOURCES",
            Self::Deployments => "DEPLOYMENTS",
        }
    }

    /// The account it is kept in.
    pub const fn account(self) -> Account {
        match self {
            Self::Usage => Account::LlmGateway,
            Self::Events | Self::Jobs | Self::Parked | Self::Resources | Self::Deployments => {
                Account::Services
            }
        }
    }

    /// The subjects published into it; sourced streams take none.
    pub const fn subjects(self) -> &'static [&'static str] {
        match self {
            Self::Events => &["evt.syncer.>", "evt.biller.>", "evt.meterer.>", "evt.saga-orchestrator.>"],
            Self::Usage => &["evt.llm-gateway.usage.>"],
            Self::Jobs => &["job.>", "schedule.>"],
            Self::Parked => &["parked.>"],
            Self::Resources | Self::Deployments => &[],
        }
    }

    /// For a compacted view: the filter on `EVENTS` and what its subjects become.
    pub const fn compacts(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Resources => {
                Some(("evt.syncer.resource.*.v1.*", "state.syncer.resource.last.v1.{{wildcard(2)}}"))
            }
            Self::Deployments => {
                Some(("evt.biller.deployment.*.v1.*", "state.biller.deployment.last.v1.{{wildcard(2)}}"))
            }
            Self::Events | Self::Usage | Self::Jobs | Self::Parked => None,
        }
    }
}

/// A durable consumer: one per service and subject, shared by the service's replicas.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Consumer {
    /// The stream it reads.
    pub stream: Stream,
    /// Its name: `<service>-<entity>-<verb>`.
    pub name: String,
    /// Whose it is.
    pub service: Service,
    /// The subjects it takes.
    pub filter: String,
    /// Messages that may be delivered and not yet acknowledged. One for jobs: a listing is never synced twice
    /// at the same time.
    pub max_ack_pending: u32,
}

/// Every durable consumer.
pub fn consumers() -> Vec<Consumer> {
    let jobs = catalogue::entries().into_iter().filter_map(|entry| {
        let parts = subject::parse(&entry.subject)?;
        let service = parts.owner?;
        (parts.kind == subject::Kind::Job).then(|| Consumer {
            stream: Stream::Jobs,
            name: consumer_name(service, &entry.subject),
            service,
            filter: entry.subject.clone(),
            max_ack_pending: 1,
        })
    });
    let read_models = READ_MODELS.into_iter().map(|(service, stream, subject)| Consumer {
        stream,
        name: consumer_name(service, subject),
        service,
        filter: format!("{subject}.*"),
        max_ack_pending: 2_000,
    });
    let histories = HISTORIES.into_iter().map(|(service, compacted, subject)| Consumer {
        stream: Stream::Events,
        name: history_consumer_name(service, subject),
        service,
        filter: compacted.compacts().expect("a history is of what is compacted").0.to_owned(),
        max_ack_pending: 2_000,
    });
    jobs.chain(read_models).chain(histories).collect()
}

const LAST_RESOURCE: &str = <crate::syncer::LastResource as crate::Message>::SUBJECT;
const LAST_DEPLOYMENT: &str = <crate::biller::LastDeployment as crate::Message>::SUBJECT;

/// Who keeps a read model of whose last states.
const READ_MODELS: [(Service, Stream, &str); 4] = [
    (Service::Biller, Stream::Resources, LAST_RESOURCE),
    (Service::Meterer, Stream::Resources, LAST_RESOURCE),
    (Service::Meterer, Stream::Deployments, LAST_DEPLOYMENT),
    (Service::Syncer, Stream::Deployments, LAST_DEPLOYMENT),
];

/// Who needs every state, and not just the last: usage is that of the day it was used on.
const HISTORIES: [(Service, Stream, &str); 1] = [(Service::Meterer, Stream::Resources, LAST_RESOURCE)];

/// The durable consumer by which `service` reads every event behind the state `subject`.
pub fn history_consumer_name(service: Service, subject: &str) -> String {
    match subject::parse(subject) {
        Some(parts) => format!("{}-{}-history", service.name(), parts.entity),
        None => service.name().to_owned(),
    }
}

/// Whose stream of another account is followed by which service.
pub const FOLLOWED: [(Service, Stream); 1] = [(Service::Meterer, Stream::Usage)];

/// What messages that `service` set aside of a stream it follows are filed under; the short-lived consumers by which it
/// reads begin with it.
pub fn follower_name(service: Service, stream: Stream) -> String {
    format!("{}-{}", service.name(), stream.name().to_lowercase())
}

/// The durable consumer by which `service` reads `subject`.
pub fn consumer_name(service: Service, subject: &str) -> String {
    match subject::parse(subject) {
        Some(parts) => format!("{}-{}-{}", service.name(), parts.entity, parts.verb),
        None => service.name().to_owned(),
    }
}
