//! DNS zones and their records.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Row;
use crate::text::Text;

/// A DNS zone. The zone file is left out on purpose: its serial changes at every edit of a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Domain {
    /// The zone's name, which is its only id.
    pub name: Text,
    /// Default time to live in seconds.
    pub ttl: Option<i64>,
}

impl Row for Domain {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.name.as_str().into())
    }
}

/// A record of a zone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DnsRecord {
    /// Provider id.
    pub id: i64,
    /// `A`, `CNAME`, … The zone's own `SOA` and `NS` records are listed too.
    #[serde(rename = "type")]
    pub kind: Text,
    /// Relative to the zone; `@` is the zone itself.
    pub name: Text,
    /// Host names come without the final dot that is required when they are sent.
    pub data: Text,
    /// Seconds. All records of one name and type share it.
    pub ttl: Option<i64>,
    /// Of MX and SRV records.
    pub priority: Option<i64>,
    /// Of SRV records.
    pub port: Option<i64>,
    /// Of SRV records.
    pub weight: Option<i64>,
    /// Of CAA records.
    pub flags: Option<i64>,
    /// Of CAA records.
    pub tag: Option<Text>,
}

impl Row for DnsRecord {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.id.to_string().into())
    }
}
