//! Which events a reader wants: a NATS subject with wildcards, inside what the events stream holds.

use std::{fmt, str::FromStr};

use contracts::streams::Stream;

/// Longest filter, in bytes.
const BYTES_MAX: usize = 255;

/// Which events; never wider than the stream of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter(Vec<String>);

/// The text is no filter of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidFilter;

impl fmt::Display for InvalidFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be a subject such as evt.syncer.resource.updated.v1.*, evt.syncer.> or evt.> of ")?;
        for (index, owner) in owners().enumerate() {
            write!(f, "{}{owner}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// The services whose events the stream holds.
fn owners() -> impl Iterator<Item = &'static str> {
    Stream::Events.subjects().iter().filter_map(|subject| subject.split('.').nth(1))
}

impl Default for Filter {
    /// Every event.
    fn default() -> Self {
        Self(Stream::Events.subjects().iter().map(|subject| (*subject).to_owned()).collect())
    }
}

impl Filter {
    /// The subjects to ask the stream for; they do not overlap.
    pub(crate) fn into_subjects(self) -> Vec<String> {
        self.0
    }
}

impl FromStr for Filter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        if text.len() > BYTES_MAX {
            return Err(InvalidFilter);
        }
        let tokens: Vec<&str> = text.split('.').collect();
        let last = tokens.len() - 1;
        let well_formed = |(index, token): (usize, &&str)| match *token {
            ">" => index == last,
            "*" => true,
            plain => {
                !plain.is_empty()
                    && plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            }
        };
        if !tokens.iter().enumerate().all(well_formed) {
            return Err(InvalidFilter);
        }
        match tokens[..] {
            ["evt", ">"] => Ok(Self::default()),
            // Without anything behind it, a service's name is no subject.
            ["evt", _] => Err(InvalidFilter),
            // The stream takes several services' subjects one by one, so a wildcard becomes each of them.
            ["evt", "*", ref rest @ ..] => {
                let rest = rest.join(".");
                Ok(Self(owners().map(|owner| format!("evt.{owner}.{rest}")).collect()))
            }
            ["evt", owner, ..] if owners().any(|own| own == owner) => Ok(Self(vec![text.to_owned()])),
            _ => Err(InvalidFilter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        text.parse::<Filter>()
            .map_or_else(|_| "refused".to_owned(), |filter| filter.into_subjects().join(" "))
    }

    #[test]
    fn a_filter_stays_within_the_events_of_our_services() {
        let all = "evt.syncer.> evt.biller.> evt.meterer.> evt.saga-orchestrator.>";
        assert_eq!(check("evt.>"), all);
        assert_eq!(Filter::default().into_subjects().join(" "), all);
        assert_eq!(check("evt.syncer.>"), "evt.syncer.>");
        assert_eq!(check("evt.syncer.resource.updated.v1.*"), "evt.syncer.resource.updated.v1.*");
        assert_eq!(
            check("evt.*.resource.>"),
            "evt.syncer.resource.> evt.biller.resource.> evt.meterer.resource.> evt.saga-orchestrator.resource.>"
        );
        for bad in [
            "",
            ".",
            ">",
            "*",
            "*.>",
            "evt",
            "evt.",
            "evt.syncer",
            "evt.*",
            "evt.syncer.",
            "evt..a",
            "evt.>.a",
            "evt.syncer.a b",
            "evt.syncer.a\u{0}",
            "evt.syncer.a>",
            "cmd.syncer.>",
            "$JS.>",
            "evt.llm-gateway.>",
            "evt.nobody.>",
            "evt.syncer.ä",
            "parked.syncer.>",
        ] {
            assert_eq!(check(bad), "refused", "{bad:?}");
        }
        assert_eq!(check(&format!("evt.syncer.{}", "a".repeat(255))), "refused");
    }
}
