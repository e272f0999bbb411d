//! The grammar of subjects: `<kind>.<owner>.<entity>.<verb>.v<N>[.<id>]`.

use crate::Service;

/// What a subject carries; it decides transport and retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `cmd.`: do this, answer me. Request/reply.
    Command,
    /// `qry.`: tell me. Request/reply.
    Query,
    /// `evt.`: it happened. JetStream, from the outbox.
    Event,
    /// `job.`: once, by whoever is free. JetStream work queue.
    Job,
    /// `parked.`: could not be handled. JetStream.
    Parked,
    /// `state.`: the last event of an entity. Compacted JetStream, written by the server alone.
    State,
}

impl Kind {
    /// The subject's first token.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Command => "cmd",
            Self::Query => "qry",
            Self::Event => "evt",
            Self::Job => "job",
            Self::Parked => "parked",
            Self::State => "state",
        }
    }
}

/// The parts of a subject literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// What it carries.
    pub kind: Kind,
    /// The service whose message it is; `None` for the LLM gateway, which is not ours.
    pub owner: Option<Service>,
    /// The thing it is about.
    pub entity: &'a str,
    /// What is asked or happened.
    pub verb: &'a str,
    /// The meaning's version.
    pub version: u32,
}

/// Takes a subject literal apart; `None` when it does not fit the grammar.
pub fn parse(subject: &str) -> Option<Parts<'_>> {
    let tokens: Vec<&str> = subject.split('.').collect();
    let [kind, owner, entity, verb, version] = tokens[..] else { return None };
    let plain = |token: &str| {
        token.starts_with(|c: char| c.is_ascii_lowercase())
            && token.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
    };
    if ![owner, entity, verb].into_iter().all(plain) {
        return None;
    }
    let kind = [Kind::Command, Kind::Query, Kind::Event, Kind::Job, Kind::Parked, Kind::State]
        .into_iter()
        .find(|k| k.token() == kind)?;
    let owner_service = Service::ALL.into_iter().find(|s| s.name() == owner);
    if owner_service.is_none() && owner != "llm-gateway" {
        return None;
    }
    let version = version.strip_prefix('v')?.parse().ok().filter(|v| *v > 0)?;
    Some(Parts { kind, owner: owner_service, entity, verb, version })
}

/// Whether a NATS subject filter (`*` one token, `>` the rest) takes a subject.
pub fn matches(filter: &str, subject: &str) -> bool {
    let mut subject = subject.split('.');
    let mut filter = filter.split('.').peekable();
    while let Some(token) = filter.next() {
        match (token, subject.next()) {
            (">", Some(_)) => return filter.peek().is_none(),
            (_, None) => return false,
            ("*", Some(_)) => {}
            (literal, Some(other)) if literal == other => {}
            _ => return false,
        }
    }
    subject.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_fits_the_grammar_or_is_refused() {
        assert!(parse("evt.syncer.resource.updated.v1").is_some());
        assert!(parse("evt.llm-gateway.usage.recorded.v1").is_some());
        for bad in [
            "evt.syncer.resource.updated",
            "evt.nobody.a.b.v1",
            "foo.syncer.a.b.v1",
            "evt.syncer.A.b.v1",
            "evt.syncer.a.b.v0",
        ] {
            assert!(parse(bad).is_none(), "{bad} was taken");
        }
    }

    #[test]
    fn filters_match_as_the_server_matches() {
        for (filter, subject, expected) in [
            ("evt.>", "evt.a.b", true),
            ("evt.>", "evt", false),
            ("evt.*.b", "evt.a.b", true),
            ("evt.*.b", "evt.a.c", false),
            ("evt.*", "evt.a.b", false),
            ("evt.a", "evt.a", true),
        ] {
            assert_eq!(matches(filter, subject), expected, "{filter} on {subject}");
        }
    }
}
