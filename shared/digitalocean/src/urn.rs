//! Resource names of the projects API: `do:<kind>:<id>`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::text::Text;

/// A resource as a project lists it. Kinds nobody knows yet pass through.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Urn {
    /// As the provider writes it: `droplet`, `floatingip`, `dbaas`, …
    pub kind: Text,
    /// Everything after the second colon. It may hold colons itself (an IPv6 address).
    pub id: Text,
}

/// The text is not of the form `do:<kind>:<id>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a urn of the form do:kind:id")]
pub struct NotAUrn;

impl Urn {
    /// A name from its parts.
    pub fn new(kind: impl Into<Text>, id: impl Into<Text>) -> Self {
        Self { kind: kind.into(), id: id.into() }
    }

    /// Reads `do:<kind>:<id>`.
    pub fn parse(text: &str) -> Result<Self, NotAUrn> {
        let mut parts = text.splitn(3, ':');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("do"), Some(kind), Some(id)) if !kind.is_empty() && !id.is_empty() => {
                Ok(Self::new(kind, id))
            }
            _ => Err(NotAUrn),
        }
    }

    /// The spelling the projects API accepts: it knows reserved addresses only by their former name.
    pub(crate) fn for_sending(&self) -> String {
        let kind = if self.kind == "reservedip" { "floatingip" } else { self.kind.as_str() };
        format!("do:{kind}:{}", self.id)
    }
}

impl fmt::Display for Urn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "do:{}:{}", self.kind, self.id)
    }
}

impl Serialize for Urn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Urn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urns_split_in_three() {
        for (text, want) in [
            ("do:droplet:13457723", Ok(("droplet", "13457723"))),
            ("do:domain:example.com", Ok(("domain", "example.com"))),
            ("do:reservedipv6:2604:a880::1", Ok(("reservedipv6", "2604:a880::1"))),
            ("do:warpdrive:x", Ok(("warpdrive", "x"))),
            ("do:droplet:", Err(NotAUrn)),
            ("do::1", Err(NotAUrn)),
            ("do:droplet", Err(NotAUrn)),
            ("aws:droplet:1", Err(NotAUrn)),
            ("", Err(NotAUrn)),
        ] {
            let got = Urn::parse(text);
            assert_eq!(got, want.map(|(kind, id)| Urn::new(kind, id)), "{text}");
            if let Ok(urn) = got {
                assert_eq!(urn.to_string(), text);
            }
        }
    }

    #[test]
    fn a_reserved_address_is_sent_under_its_former_name() {
        assert_eq!(Urn::new("reservedip", "203.0.113.9").for_sending(), "do:floatingip:203.0.113.9");
        assert_eq!(Urn::new("volume", "v").for_sending(), "do:volume:v");
    }
}
