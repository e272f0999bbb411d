//! Load balancers.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Row, nullable, region_optional};
use crate::text::Text;

/// A load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LoadBalancer {
    /// UUID.
    pub id: Text,
    /// Display name.
    pub name: Text,
    /// Empty or absent while it is new.
    #[serde(default, deserialize_with = "nullable")]
    pub ip: Text,
    /// `new`, `active` or `errored`.
    pub status: Text,
    /// How connections are spread.
    pub algorithm: Option<Text>,
    /// Number of nodes.
    pub size_unit: Option<i64>,
    /// Size slug, of older ones.
    pub size: Option<Text>,
    /// `REGIONAL`, `REGIONAL_NETWORK` or `GLOBAL`.
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    /// Region slug; a global one has none.
    #[serde(default, deserialize_with = "region_optional")]
    pub region: Option<Text>,
    /// What is taken in and where it goes.
    #[serde(default, deserialize_with = "nullable")]
    pub forwarding_rules: Vec<ForwardingRule>,
    /// Droplets behind it.
    #[serde(default, deserialize_with = "nullable")]
    pub droplet_ids: Vec<i64>,
    /// Tag whose droplets are behind it; empty if chosen by id.
    #[serde(default, deserialize_with = "nullable")]
    pub tag: Text,
    /// Its network.
    pub vpc_uuid: Option<Text>,
    /// The project it is in.
    pub project_id: Option<Text>,
    /// `None` if the provider left it out.
    pub created_at: Option<DateTime<Utc>>,
}

/// One forwarding rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ForwardingRule {
    /// Protocol taken in.
    pub entry_protocol: Text,
    /// Port taken in.
    pub entry_port: i64,
    /// Protocol spoken to the droplets.
    pub target_protocol: Text,
    /// Port on the droplets.
    pub target_port: i64,
    /// The certificate's id, never the certificate.
    #[serde(default, deserialize_with = "nullable")]
    pub certificate_id: Text,
    /// Whether TLS is passed on untouched.
    #[serde(default, deserialize_with = "nullable")]
    pub tls_passthrough: bool,
}

impl Row for LoadBalancer {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.id.as_str().into())
    }
}
