//! DNS records of a zone.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::{
    client::Client,
    error::Error,
    pages::{Listing, Pages},
    request::Request,
    rows::{DnsRecord, Domain},
};

/// A record as it should be. Host names are sent with the final dot that the provider asks for and does not
/// return, whether or not they have it here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewDnsRecord {
    /// `A`, `AAAA`, `CNAME`, `TXT`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Relative to the zone; `@` is the zone itself.
    pub name: String,
    /// What it says.
    pub data: String,
    /// Seconds; `None` is the provider's default of 1800. It becomes the TTL of all records of that name and
    /// type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
    /// Of MX and SRV records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// Of SRV records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i64>,
    /// Of SRV records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
    /// Of CAA records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<i64>,
    /// Of CAA records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl NewDnsRecord {
    /// A record without the extras of particular types.
    pub fn new(kind: impl Into<String>, name: impl Into<String>, data: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            name: name.into(),
            data: data.into(),
            ttl: None,
            priority: None,
            port: None,
            weight: None,
            flags: None,
            tag: None,
        }
    }

    fn for_sending(&self) -> Self {
        let is_host = match self.kind.as_str() {
            "CNAME" | "MX" | "NS" | "SRV" => true,
            // The data of an incident-report record is an address to write to.
            "CAA" => self.tag.as_deref() != Some("iodef"),
            _ => false,
        };
        let mut record = self.clone();
        if is_host && record.data != "@" && !record.data.ends_with('.') {
            record.data.push('.');
        }
        record
    }
}

/// Which records of a zone to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordFilter<'a> {
    /// `A`, `CNAME`, …
    pub kind: Option<&'a str>,
    /// The whole name (`www.example.com`), though rows show it relative to the zone.
    pub fqdn: Option<&'a str>,
}

#[derive(Deserialize)]
struct RecordAnswer {
    domain_record: DnsRecord,
}

impl Client {
    /// One zone.
    pub async fn domain(&self, zone: &str) -> Result<Domain, Error> {
        #[derive(Deserialize)]
        struct Answer {
            domain: Domain,
        }
        self.ask::<Answer>(&Request::get("domains.get", ["domains", zone])).await.map(|answer| answer.domain)
    }

    /// Records of a zone, its own SOA and NS records included. Duplicates are possible and have ids of their
    /// own.
    pub fn dns_records(&self, zone: &str, filter: RecordFilter<'_>) -> Pages<DnsRecord> {
        let mut request = Request::get("records.list", ["domains", zone, "records"]);
        if let Some(kind) = filter.kind {
            request = request.query("type", kind);
        }
        if let Some(fqdn) = filter.fqdn {
            request = request.query("name", fqdn);
        }
        self.pages(request, Listing::keyed("domain_records"))
    }

    /// Adds a record. Creating twice makes two: look first.
    pub async fn create_dns_record(&self, zone: &str, record: &NewDnsRecord) -> Result<DnsRecord, Error> {
        let request = Request::new("records.create", Method::POST, ["domains", zone, "records"]);
        self.ask::<RecordAnswer>(&request.json(&record.for_sending()))
            .await
            .map(|answer| answer.domain_record)
    }

    /// Replaces a record.
    pub async fn update_dns_record(
        &self,
        zone: &str,
        id: i64,
        record: &NewDnsRecord,
    ) -> Result<DnsRecord, Error> {
        let request =
            Request::new("records.update", Method::PUT, ["domains", zone, "records", &id.to_string()]);
        self.ask::<RecordAnswer>(&request.json(&record.for_sending()))
            .await
            .map(|answer| answer.domain_record)
    }

    /// Deletes a record; [`Error::NotFound`] means that it, or its zone, was gone already.
    pub async fn delete_dns_record(&self, zone: &str, id: i64) -> Result<(), Error> {
        let id = id.to_string();
        self.tell(&Request::new("records.delete", Method::DELETE, ["domains", zone, "records", &id])).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_sent_with_a_final_dot() {
        for (kind, tag, data, want) in [
            ("CNAME", None, "example.com", "example.com."),
            ("CNAME", None, "example.com.", "example.com."),
            ("MX", None, "mail.example.com", "mail.example.com."),
            ("CNAME", None, "@", "@"),
            ("CAA", Some("issue"), "letsencrypt.org", "letsencrypt.org."),
            ("CAA", Some("iodef"), "mailto:a@example.com", "mailto:a@example.com"),
            ("A", None, "203.0.113.7", "203.0.113.7"),
            ("TXT", None, "v=spf1 -all", "v=spf1 -all"),
        ] {
            let mut record = NewDnsRecord::new(kind, "www", data);
            record.tag = tag.map(str::to_owned);
            assert_eq!(record.for_sending().data, want, "{kind} {data}");
        }
    }
}
