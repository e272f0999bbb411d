//! Managed Kubernetes clusters.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Row, nullable, region};
use crate::text::Text;

/// A managed Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KubernetesCluster {
    /// UUID.
    pub id: Text,
    /// Display name.
    pub name: Text,
    /// Region slug.
    #[serde(deserialize_with = "region")]
    pub region: Text,
    /// Version slug.
    pub version: Option<Text>,
    /// State, and what the provider says about it.
    pub status: Option<ClusterStatus>,
    /// Its pools of workers, which are droplets too.
    #[serde(default, deserialize_with = "nullable")]
    pub node_pools: Vec<NodePool>,
    /// Tags.
    #[serde(default, deserialize_with = "nullable")]
    pub tags: Vec<Text>,
    /// Its network.
    pub vpc_uuid: Option<Text>,
    /// Address of the control plane.
    #[serde(default, deserialize_with = "nullable")]
    pub ipv4: Text,
    /// Whether the control plane is highly available, which costs extra.
    #[serde(default, deserialize_with = "nullable")]
    pub ha: bool,
    /// `None` if the provider left it out.
    pub created_at: Option<DateTime<Utc>>,
}

/// State of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// `running`, `provisioning`, `degraded`, …
    pub state: Text,
    /// The provider's explanation.
    pub message: Option<Text>,
}

/// A pool of workers of one size.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NodePool {
    /// UUID.
    pub id: Text,
    /// Display name.
    pub name: Text,
    /// Size slug of its workers.
    pub size: Text,
    /// Number of workers wanted.
    pub count: i64,
    /// The workers there are.
    #[serde(default, deserialize_with = "nullable")]
    pub nodes: Vec<KubernetesNode>,
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KubernetesNode {
    /// UUID of the node.
    pub id: Text,
    /// Display name.
    pub name: Text,
    /// The droplet's id, as text; empty until there is one.
    #[serde(default, deserialize_with = "nullable")]
    pub droplet_id: Text,
}

impl Row for KubernetesCluster {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.id.as_str().into())
    }
}
