//! Cloud firewalls.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Row, nullable};
use crate::text::Text;

/// A cloud firewall.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Firewall {
    /// UUID.
    pub id: Text,
    /// Display name.
    pub name: Text,
    /// `waiting` for some seconds after a change, then `succeeded` or `failed`.
    pub status: Text,
    /// `None` if the provider left it out.
    pub created_at: Option<DateTime<Utc>>,
    /// Droplets it is applied to by id. One can be dead for up to a minute.
    #[serde(default, deserialize_with = "nullable")]
    pub droplet_ids: Vec<i64>,
    /// Tags whose droplets it is applied to: selectors, not labels of the firewall.
    #[serde(default, deserialize_with = "nullable")]
    pub tags: Vec<Text>,
    /// What may come in.
    #[serde(default, deserialize_with = "nullable")]
    pub inbound_rules: Vec<FirewallRule>,
    /// What may go out.
    #[serde(default, deserialize_with = "nullable")]
    pub outbound_rules: Vec<FirewallRule>,
    /// Changes that are not in force yet.
    #[serde(default, deserialize_with = "nullable")]
    pub pending_changes: Vec<PendingChange>,
}

/// One rule. Inbound rules have sources, outbound ones destinations.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FirewallRule {
    /// `tcp`, `udp` or `icmp`.
    pub protocol: Text,
    /// `22`, `8000-9000`, `0` or `all`; absent for icmp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<Text>,
    /// Live answers say `allow`; the published schema has no such field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Text>,
    /// Where traffic may come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<FirewallTarget>,
    /// Where traffic may go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destinations: Option<FirewallTarget>,
}

/// The peers a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct FirewallTarget {
    /// Addresses and networks.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Text>,
    /// Droplets.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub droplet_ids: Vec<i64>,
    /// Load balancers.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub load_balancer_uids: Vec<Text>,
    /// Kubernetes clusters.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub kubernetes_ids: Vec<Text>,
    /// Tags.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Text>,
}

/// A change the provider has yet to apply.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PendingChange {
    /// The droplet concerned.
    pub droplet_id: Option<i64>,
    /// Whether the droplet leaves the firewall.
    pub removing: Option<bool>,
    /// State of the change.
    pub status: Option<Text>,
}

impl Row for Firewall {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.id.as_str().into())
    }
}
