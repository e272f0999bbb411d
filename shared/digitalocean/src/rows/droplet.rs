//! Droplets, and the snapshots and backups listed under one droplet.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Row, nullable, region};
use crate::{decimal::DecimalText, text::Text};

/// A droplet. GPU droplets are listed apart (`type=gpus`), Kubernetes workers among the ordinary ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Droplet {
    /// Provider id.
    pub id: i64,
    /// Not unique in an account.
    pub name: Text,
    /// `new`, `active`, `off`, `archive`, or what the provider thinks of next.
    pub status: Text,
    /// Memory in MB.
    pub memory: i64,
    /// Number of virtual processors.
    pub vcpus: i64,
    /// Disk in GB.
    pub disk: i64,
    /// Whether an action holds it.
    #[serde(default)]
    pub locked: bool,
    /// `None` if the provider left it out.
    pub created_at: Option<DateTime<Utc>>,
    /// Feature names such as `ipv6`.
    #[serde(default, deserialize_with = "nullable")]
    pub features: Vec<Text>,
    /// Backups of this droplet; empty means that there is nothing to list under `/backups`.
    #[serde(default, deserialize_with = "nullable")]
    pub backup_ids: Vec<i64>,
    /// Snapshots of this droplet.
    #[serde(default, deserialize_with = "nullable")]
    pub snapshot_ids: Vec<i64>,
    /// Can lag behind; the truth about attachment is `Volume::droplet_ids`.
    #[serde(default, deserialize_with = "nullable")]
    pub volume_ids: Vec<Text>,
    /// `None` when the image it was made from is gone.
    pub image: Option<Image>,
    /// Size slug, such as `s-1vcpu-1gb`.
    pub size_slug: Text,
    /// Addresses.
    #[serde(default, deserialize_with = "nullable")]
    pub networks: Networks,
    /// Region slug.
    #[serde(deserialize_with = "region")]
    pub region: Text,
    /// Tags. A droplet being destroyed loses them before it disappears.
    #[serde(default, deserialize_with = "nullable")]
    pub tags: Vec<Text>,
    /// Absent while the droplet is being placed.
    pub vpc_uuid: Option<Text>,
}

/// The image a droplet was made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Image {
    /// Image id.
    pub id: Option<i64>,
    /// Only public images have one.
    pub slug: Option<Text>,
    /// Display name.
    pub name: Option<Text>,
    /// Distribution name.
    pub distribution: Option<Text>,
}

/// The addresses of a droplet. The order says nothing: pick by `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Networks {
    /// IPv4 addresses.
    #[serde(default, deserialize_with = "nullable")]
    pub v4: Vec<NetworkV4>,
    /// IPv6 addresses.
    #[serde(default, deserialize_with = "nullable")]
    pub v6: Vec<NetworkV6>,
}

/// One IPv4 address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NetworkV4 {
    /// The address.
    pub ip_address: Text,
    /// `public` or `private`.
    #[serde(rename = "type")]
    pub kind: Text,
}

/// One IPv6 address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NetworkV6 {
    /// The address.
    pub ip_address: Text,
    /// `public` or `private`.
    #[serde(rename = "type")]
    pub kind: Text,
}

impl Droplet {
    /// The first public IPv4 address. An active droplet can be without one for a while, or for ever.
    pub fn public_v4(&self) -> Option<&str> {
        self.networks
            .v4
            .iter()
            .find(|network| network.kind == "public")
            .map(|network| network.ip_address.as_str())
    }

    /// Whether a managed Kubernetes cluster owns it: it bears the worker tag (in either spelling), or the
    /// cluster's own.
    pub fn is_kubernetes_worker(&self) -> bool {
        let tagged = |name: &str| self.tags.iter().any(|tag| tag == name);
        tagged("k8s:worker")
            || tagged("k8s-worker")
            || (tagged("k8s") && self.kubernetes_cluster_id().is_some())
    }

    /// The id of the cluster that owns it, from the tag `k8s:<id>`.
    pub fn kubernetes_cluster_id(&self) -> Option<&str> {
        self.tags
            .iter()
            .filter_map(|tag| tag.strip_prefix("k8s:"))
            .find(|rest| !rest.is_empty() && *rest != "worker")
    }
}

impl Row for Droplet {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.id.to_string().into())
    }
}

/// A droplet that was just asked for. Only the ids count; everything else is read later, from the droplet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedDroplet {
    /// Its id. It may answer 404 for a while yet.
    pub id: i64,
    /// The action to poll.
    pub action_id: Option<i64>,
}

/// A snapshot or backup from the listing under its droplet. A backup dies with the droplet, a snapshot does
/// not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DropletImage {
    /// Image id: a number here, though `/v2/snapshots` writes the same id as a string.
    pub id: i64,
    /// Not unique.
    pub name: Text,
    /// When it was begun.
    pub created_at: Option<DateTime<Utc>>,
    /// Slugs of the regions it is in.
    #[serde(default, deserialize_with = "nullable")]
    pub regions: Vec<Text>,
    /// GB of disk a droplet made from it needs.
    pub min_disk_size: Option<i64>,
    /// Compressed size in GiB. `None` if the provider does not say.
    pub size_gigabytes: Option<DecimalText>,
    /// `snapshot` or `backup`.
    #[serde(rename = "type")]
    pub kind: Option<Text>,
}

impl Row for DropletImage {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.id.to_string().into())
    }
}
