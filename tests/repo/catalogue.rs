//! Every subject has its place: one type, one file, one stream or one answerer.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use contracts::{
    Service, catalogue,
    streams::{self, Stream},
    subject::{self, Kind},
};

use crate::sources::rust_files;

/// Who handles which subject, and who publishes which.
pub struct Roles {
    pub handled: BTreeMap<String, BTreeSet<&'static str>>,
    pub published: BTreeMap<String, BTreeSet<&'static str>>,
}

pub fn roles() -> Roles {
    let tables = [
        (
            Service::Syncer,
            syncer::handlers::subscriptions().handled(),
            syncer::handlers::subscriptions().published().to_vec(),
        ),
        (
            Service::Biller,
            biller::handlers::subscriptions().handled(),
            biller::handlers::subscriptions().published().to_vec(),
        ),
        (
            Service::Meterer,
            meterer::handlers::subscriptions().handled(),
            meterer::handlers::subscriptions().published().to_vec(),
        ),
        (
            Service::SagaOrchestrator,
            saga_orchestrator::handlers::subscriptions().handled(),
            saga_orchestrator::handlers::subscriptions().published().to_vec(),
        ),
    ];
    let mut roles = Roles { handled: BTreeMap::new(), published: BTreeMap::new() };
    for (service, handled, published) in tables {
        for subject in handled {
            roles.handled.entry(subject).or_default().insert(service.name());
        }
        for subject in published {
            roles.published.entry(subject.to_owned()).or_default().insert(service.name());
        }
    }
    roles
}

#[test]
fn every_subject_fits_the_grammar_and_stands_once() {
    let mut seen = BTreeSet::new();
    for entry in catalogue::entries() {
        let parts =
            subject::parse(&entry.subject).unwrap_or_else(|| panic!("{} does not fit", entry.subject));
        assert_eq!(parts.kind, entry.kind, "{}", entry.subject);
        assert!(seen.insert(entry.subject.clone()), "{} stands twice in the catalogue", entry.subject);
    }
    let mut files = rust_files("shared/contracts/src");
    for (_, text) in &mut files {
        // Unit tests may quote a subject.
        text.truncate(text.find("#[cfg(test)]").unwrap_or(text.len()));
    }
    for entry in catalogue::entries() {
        let parts = subject::parse(&entry.subject).expect("checked above");
        let owner = parts.owner.map_or("llm-gateway", Service::name);
        let template = entry.subject.replacen(owner, "{owner}", 1);
        let places: Vec<&str> = files
            .iter()
            .filter(|(_, text)| {
                [&entry.subject, &template].iter().any(|s| text.contains(&format!("\"{s}\"")))
            })
            .map(|(file, _)| file.trim_start_matches("shared/contracts/src/"))
            .collect();
        // A file, or the files of a folder.
        let own = owner.replace('-', "_");
        let is_own =
            |file: &str| file.strip_prefix(&own).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'));
        let per_service = ["parked.rs", "outbox.rs"];
        let fits = matches!(places[..], [file] if is_own(file) || per_service.contains(&file));
        assert!(fits, "{} belongs in {own}.rs or {own}/ alone, and stands in {places:?}", entry.subject);
    }
}

#[test]
fn every_message_is_captured_by_one_stream_or_answered_by_one_service() {
    let roles = roles();
    for entry in catalogue::entries() {
        let subject = if entry.keyed { format!("{}.x", entry.subject) } else { entry.subject.clone() };
        let capturing: Vec<&str> = Stream::ALL
            .into_iter()
            .filter(|stream| {
                let compacted = stream.compacts().is_some_and(|(_, into)| into.starts_with(&entry.subject));
                compacted || stream.subjects().iter().any(|filter| subject::matches(filter, &subject))
            })
            .map(Stream::name)
            .collect();
        let handlers = roles.handled.get(&entry.subject).map_or(0, BTreeSet::len);
        let owner = subject::parse(&entry.subject).and_then(|parts| parts.owner).map(Service::name);
        match entry.kind {
            Kind::Command | Kind::Query => {
                assert!(capturing.is_empty(), "{subject} is a request and {capturing:?} would store it");
                assert_eq!(handlers, 1, "{subject} is answered by {handlers} services");
                assert_eq!(roles.handled[&entry.subject].first().copied(), owner, "{subject}");
            }
            Kind::Job => {
                assert_eq!(capturing, ["JOBS"], "{subject}");
                assert_eq!(handlers, 1, "{subject} is done by {handlers} services");
            }
            Kind::Event => {
                assert_eq!(capturing.len(), 1, "{subject} is captured by {capturing:?}");
                let publishers = roles.published.get(&entry.subject);
                assert_eq!(
                    publishers.and_then(|p| p.first().copied()),
                    owner,
                    "{subject} is published by its owner"
                );
            }
            Kind::Parked => assert_eq!(capturing, ["PARKED"], "{subject}"),
            Kind::State => assert_eq!(capturing.len(), 1, "{subject} is captured by {capturing:?}"),
        }
    }
    let known: BTreeSet<String> = catalogue::entries().into_iter().map(|entry| entry.subject).collect();
    let unknown: Vec<&String> =
        roles.handled.keys().chain(roles.published.keys()).filter(|s| !known.contains(*s)).collect();
    assert!(unknown.is_empty(), "not in the catalogue: {unknown:?}");
}

#[test]
fn every_consumer_is_somebodys_and_every_delivery_has_a_consumer() {
    let roles = roles();
    for consumer in streams::consumers() {
        let mut subject = consumer.filter.trim_end_matches(".*");
        // All events behind a compacted stream are read as the state that they make.
        let behind = |stream: &Stream| stream.compacts().filter(|(events, _)| *events == consumer.filter);
        if let Some((_, into)) = Stream::ALL.iter().find_map(behind) {
            subject = into.trim_end_matches(".{{wildcard(2)}}");
        }
        let handlers = roles.handled.get(subject).cloned().unwrap_or_default();
        assert!(handlers.contains(consumer.service.name()), "nobody reads consumer {}", consumer.name);
    }
    let consumers = streams::consumers();
    for (subject, services) in &roles.handled {
        let kind = subject::parse(subject).map(|parts| parts.kind);
        for service in services.iter().filter(|_| matches!(kind, Some(Kind::Job | Kind::State | Kind::Event)))
        {
            let follows = streams::FOLLOWED.iter().any(|(follower, stream)| {
                follower.name() == *service
                    && stream
                        .subjects()
                        .iter()
                        .any(|filter| subject::matches(filter, &format!("{subject}.x")))
            });
            let has = follows
                || consumers.iter().any(|c| c.service.name() == *service && c.filter.starts_with(subject));
            assert!(has, "{service} has no consumer for {subject}");
        }
    }
}

fn compacted_into(subject: &str) -> &'static str {
    let holds = |stream: &Stream| stream.compacts().is_some_and(|(_, into)| into.starts_with(subject));
    Stream::ALL.into_iter().find(holds).map(Stream::name).expect("checked above")
}

/// `nats/CATALOGUE.md`.
pub fn render() -> String {
    let roles = roles();
    let mut out = String::from(
        "# What is said\n\nGenerated: `UPDATE_EXPECT=1 cargo test -p arcadia-tests --test repo` rewrites it.\n\n\
         | subject | type | carried by | published by | handled by |\n|---|---|---|---|---|\n",
    );
    let names = |of: Option<&BTreeSet<&'static str>>| {
        of.map(|names| names.iter().copied().collect::<Vec<_>>().join(", ")).unwrap_or_default()
    };
    for entry in catalogue::entries() {
        let subject = if entry.keyed { format!("{}.<id>", entry.subject) } else { entry.subject.clone() };
        let parts = subject::parse(&entry.subject).expect("every subject fits the grammar");
        let owner = parts.owner.map_or("llm-gateway", Service::name);
        let (carrier, publisher) = match entry.kind {
            Kind::Command | Kind::Query => ("request/reply", "gateway-api".to_owned()),
            Kind::Event if parts.owner.is_none() => (Stream::Usage.name(), "arcadia-llm-gateway".to_owned()),
            Kind::Event => (Stream::Events.name(), names(roles.published.get(&entry.subject))),
            Kind::Job => ("JOBS", format!("schedules, {owner}")),
            Kind::Parked => ("PARKED", owner.to_owned()),
            Kind::State => (compacted_into(&entry.subject), "nats-server, from EVENTS".to_owned()),
        };
        writeln!(
            out,
            "| `{subject}` | `{}` | {carrier} | {publisher} | {} |",
            entry.type_name,
            names(roles.handled.get(&entry.subject)),
        )
        .expect("a string takes everything");
    }
    out
}
