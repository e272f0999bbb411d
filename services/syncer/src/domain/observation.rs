//! What the provider's row says, reduced to what counts: a change in any field kept here is a meaningful change.
//!
//! Left out is what moves by itself (locks, backup windows, snapshot and backup ids, a zone's serial, pending
//! changes) and every order that means nothing. Attributes keep the provider's names; sizes that can have
//! fractions are decimal strings.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::syncer::ResourceKind;
use digitalocean::{
    DecimalText, Text,
    rows::{
        Database, Domain, Droplet, DropletImage, Firewall, FirewallRule, FirewallTarget, ForwardingRule,
        KubernetesCluster, LoadBalancer, ReservedIp, Snapshot, Volume,
    },
};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Where everything of this inventory lives.
pub const PROVIDER: &str = "digitalocean";
/// Status of what the provider gives no status.
pub const STATUS_PRESENT: &str = "active";
/// Status of what is known by name alone.
pub const STATUS_UNKNOWN: &str = "unknown";

/// An event holds the attributes and, at worst, each changed one twice more, and must fit into a message of
/// 64 KiB.
const ATTRS_BYTES_MAX: usize = 16 << 10;
/// The provider allows 255; a longer name is cut so that three of them fit into a message.
const NAME_CHARS_MAX: usize = 512;

/// Sixteen bytes that differ when anything that counts differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The bytes, for the database.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A resource as the provider shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// What sort of thing it is.
    pub kind: ResourceKind,
    /// The provider's id.
    pub provider_id: String,
    /// The name people gave it.
    pub name: String,
    /// The provider's status.
    pub status: String,
    /// Region slug.
    pub region: Option<String>,
    /// What is peculiar to the kind: a JSON object, serialised once.
    pub attrs: String,
    /// Hash of name, status, region and attributes.
    pub fingerprint: Fingerprint,
}

/// The provider's row cannot be true.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {provider_id}: {reason}")]
pub struct Implausible {
    /// Which kind.
    pub kind: ResourceKind,
    /// Which resource.
    pub provider_id: String,
    /// What is wrong.
    pub reason: &'static str,
}

impl Observed {
    fn new(kind: ResourceKind, provider_id: String, face: Face<'_>, attrs: &impl Serialize) -> Self {
        let attrs = serde_json::to_string(attrs).expect("attributes are plain structs with string keys");
        let name = bounded(face.name);
        let fingerprint = fingerprint(&name, face.status, face.region, &attrs);
        Self {
            kind,
            provider_id,
            name,
            status: face.status.to_owned(),
            region: face.region.map(str::to_owned),
            attrs: if attrs.len() > ATTRS_BYTES_MAX { shortened(&attrs) } else { attrs },
            fingerprint,
        }
    }

    /// The attributes as an event carries them.
    pub fn attrs_map(&self) -> Map<String, Value> {
        serde_json::from_str(&self.attrs).expect("attributes were serialised from a struct")
    }
}

/// What every kind shows.
struct Face<'a> {
    name: &'a str,
    status: &'a str,
    region: Option<&'a str>,
}

fn bounded(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

fn fingerprint(name: &str, status: &str, region: Option<&str>, attrs: &str) -> Fingerprint {
    let mut hash = Sha256::new();
    for part in [name, status, region.unwrap_or(""), attrs] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut short = [0; 16];
    short.copy_from_slice(&hash.finalize()[..16]);
    Fingerprint(short)
}

/// Attributes without their bulkiest values. A hash stands in for each, so that a change in it still shows.
fn shortened(attrs: &str) -> String {
    let mut attrs: Map<String, Value> =
        serde_json::from_str(attrs).expect("attributes were serialised from a struct");
    let mut sizes: Vec<(usize, String)> =
        attrs.iter().map(|(name, value)| (value.to_string().len(), name.clone())).collect();
    sizes.sort_unstable();
    let mut left: usize = sizes.iter().map(|(size, name)| size + name.len()).sum();
    let mut omitted = BTreeMap::new();
    while left > ATTRS_BYTES_MAX / 2 {
        let Some((size, name)) = sizes.pop() else { break };
        left -= size + name.len();
        if let Some(value) = attrs.remove(&name) {
            omitted.insert(name, format!("sha256:{:x}", Sha256::digest(value.to_string())));
        }
    }
    attrs.insert("omitted".to_owned(), serde_json::json!(omitted));
    Value::Object(attrs).to_string()
}

/// The number without zeros that change nothing, so that `2.30` and `2.3` are no change.
fn plain(number: &DecimalText) -> String {
    let text = number.as_str();
    if text.contains('.') && !text.contains(['e', 'E']) {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

fn sorted<T: Ord + Clone>(items: &[T]) -> Vec<T> {
    let mut items = items.to_vec();
    items.sort_unstable();
    items
}

fn some(text: &Text) -> Option<&str> {
    Some(text.as_str()).filter(|text| !text.is_empty())
}

/// The region, of what is in exactly one.
fn only(regions: &[Text]) -> Option<&str> {
    match regions {
        [region] => Some(region),
        _ => None,
    }
}

#[derive(Serialize)]
struct DropletAttrs<'a> {
    size_slug: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_name: Option<&'a str>,
    memory: i64,
    vcpus: i64,
    disk: i64,
    features: Vec<Text>,
    tags: Vec<Text>,
    public_ipv4: Vec<&'a str>,
    private_ipv4: Vec<&'a str>,
    ipv6: Vec<&'a str>,
    volume_ids: Vec<Text>,
    has_backups: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_uuid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k8s_cluster: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<DateTime<Utc>>,
}

/// A droplet. A worker of a Kubernetes cluster is one too and says so in `k8s_cluster`.
pub fn droplet(row: &Droplet) -> Result<Observed, Implausible> {
    let v4 = |kind: &str| {
        let of_kind = row.networks.v4.iter().filter(|network| network.kind == *kind);
        sorted(&of_kind.map(|network| network.ip_address.as_str()).collect::<Vec<_>>())
    };
    let ipv6: Vec<&str> = row.networks.v6.iter().map(|network| network.ip_address.as_str()).collect();
    let image = row.image.as_ref();
    let attrs = DropletAttrs {
        size_slug: &row.size_slug,
        image: image.and_then(|image| match &image.slug {
            Some(slug) => Some(slug.to_string()),
            None => image.id.map(|id| id.to_string()),
        }),
        image_name: image.and_then(|image| image.name.as_deref()),
        memory: row.memory,
        vcpus: row.vcpus,
        disk: row.disk,
        features: sorted(&row.features),
        tags: sorted(&row.tags),
        public_ipv4: v4("public"),
        private_ipv4: v4("private"),
        ipv6: sorted(&ipv6),
        volume_ids: sorted(&row.volume_ids),
        has_backups: !row.backup_ids.is_empty() || row.features.iter().any(|feature| feature == "backups"),
        vpc_uuid: row.vpc_uuid.as_deref(),
        k8s_cluster: row.kubernetes_cluster_id(),
        created_at: row.created_at,
    };
    let face = Face { name: &row.name, status: &row.status, region: Some(&row.region) };
    Ok(Observed::new(ResourceKind::Droplet, row.id.to_string(), face, &attrs))
}

#[derive(Serialize)]
struct ZoneAttrs {
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
}

/// The one spelling of a zone's name.
pub fn zone_id(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// A DNS zone.
pub fn dns_zone(row: &Domain) -> Result<Observed, Implausible> {
    let id = zone_id(&row.name);
    let face = Face { name: &id, status: STATUS_PRESENT, region: None };
    Ok(Observed::new(ResourceKind::DnsZone, id.clone(), face, &ZoneAttrs { ttl: row.ttl }))
}

#[derive(Serialize)]
struct VolumeAttrs<'a> {
    size_gigabytes: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    droplet_ids: Vec<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filesystem_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filesystem_label: Option<&'a str>,
    tags: Vec<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<DateTime<Utc>>,
}

/// A volume.
pub fn volume(row: &Volume) -> Result<Observed, Implausible> {
    let id = row.id.to_string();
    if row.size_gigabytes < 0 {
        return Err(negative(ResourceKind::Volume, id));
    }
    let attrs = VolumeAttrs {
        size_gigabytes: row.size_gigabytes.to_string(),
        description: some(&row.description),
        droplet_ids: sorted(&row.droplet_ids),
        filesystem_type: some(&row.filesystem_type),
        filesystem_label: some(&row.filesystem_label),
        tags: sorted(&row.tags),
        created_at: row.created_at,
    };
    let face = Face { name: &row.name, status: STATUS_PRESENT, region: Some(&row.region) };
    Ok(Observed::new(ResourceKind::Volume, id, face, &attrs))
}

fn negative(kind: ResourceKind, provider_id: String) -> Implausible {
    Implausible { kind, provider_id, reason: "its size is below zero" }
}

#[derive(Serialize)]
struct SnapshotAttrs<'a> {
    resource_type: &'a str,
    resource_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_gigabytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_disk_size: Option<i64>,
    regions: Vec<Text>,
    tags: Vec<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<DateTime<Utc>>,
}

/// A snapshot of a droplet or of a volume.
pub fn snapshot(row: &Snapshot) -> Result<Observed, Implausible> {
    let id = row.id.to_string();
    if row.size_gigabytes.as_ref().is_some_and(DecimalText::is_negative) {
        return Err(negative(ResourceKind::Snapshot, id));
    }
    let attrs = SnapshotAttrs {
        resource_type: &row.resource_type,
        resource_id: &row.resource_id,
        size_gigabytes: row.size_gigabytes.as_ref().map(plain),
        min_disk_size: row.min_disk_size,
        regions: sorted(&row.regions),
        tags: sorted(&row.tags),
        created_at: row.created_at,
    };
    let face = Face { name: &row.name, status: STATUS_PRESENT, region: only(&row.regions) };
    Ok(Observed::new(ResourceKind::Snapshot, id, face, &attrs))
}

#[derive(Serialize)]
struct BackupAttrs {
    droplet_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_gigabytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_disk_size: Option<i64>,
    regions: Vec<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<DateTime<Utc>>,
}

/// A backup of the droplet it was listed under.
pub fn droplet_backup(droplet_id: i64, row: &DropletImage) -> Result<Observed, Implausible> {
    let id = row.id.to_string();
    if row.size_gigabytes.as_ref().is_some_and(DecimalText::is_negative) {
        return Err(negative(ResourceKind::DropletBackup, id));
    }
    let attrs = BackupAttrs {
        droplet_id: droplet_id.to_string(),
        size_gigabytes: row.size_gigabytes.as_ref().map(plain),
        min_disk_size: row.min_disk_size,
        regions: sorted(&row.regions),
        created_at: row.created_at,
    };
    let face = Face { name: &row.name, status: STATUS_PRESENT, region: only(&row.regions) };
    Ok(Observed::new(ResourceKind::DropletBackup, id, face, &attrs))
}

#[derive(Serialize)]
struct FloatingIpAttrs {
    #[serde(skip_serializing_if = "Option::is_none")]
    droplet_id: Option<String>,
}

/// A reserved address; the address is id and name.
pub fn floating_ip(row: &ReservedIp) -> Result<Observed, Implausible> {
    let id = row.ip.to_string();
    let attrs = FloatingIpAttrs { droplet_id: row.droplet.as_ref().map(|droplet| droplet.id.to_string()) };
    let status = if row.droplet.is_some() { "assigned" } else { "unassigned" };
    let face = Face { name: &row.ip, status, region: Some(&row.region) };
    Ok(Observed::new(ResourceKind::FloatingIp, id, face, &attrs))
}

#[derive(Serialize)]
struct FirewallAttrs {
    inbound_rules: Vec<FirewallRule>,
    outbound_rules: Vec<FirewallRule>,
    droplet_ids: Vec<i64>,
    tags: Vec<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<DateTime<Utc>>,
}

/// A firewall.
pub fn firewall(row: &Firewall) -> Result<Observed, Implausible> {
    let attrs = FirewallAttrs {
        inbound_rules: rules(&row.inbound_rules),
        outbound_rules: rules(&row.outbound_rules),
        droplet_ids: sorted(&row.droplet_ids),
        tags: sorted(&row.tags),
        created_at: row.created_at,
    };
    let face = Face { name: &row.name, status: &row.status, region: None };
    Ok(Observed::new(ResourceKind::Firewall, row.id.to_string(), face, &attrs))
}

/// The rules in one order: which of them comes first means nothing.
fn rules(rules: &[FirewallRule]) -> Vec<FirewallRule> {
    let target = |target: &FirewallTarget| FirewallTarget {
        addresses: sorted(&target.addresses),
        droplet_ids: sorted(&target.droplet_ids),
        load_balancer_uids: sorted(&target.load_balancer_uids),
        kubernetes_ids: sorted(&target.kubernetes_ids),
        tags: sorted(&target.tags),
    };
    let rules = rules.iter().map(|rule| FirewallRule {
        sources: rule.sources.as_ref().map(target),
        destinations: rule.destinations.as_ref().map(target),
        ..rule.clone()
    });
    in_order(rules.collect())
}

fn in_order<T: Serialize>(mut items: Vec<T>) -> Vec<T> {
    items.sort_by_cached_key(|item| {
        serde_json::to_string(item).expect("rows are plain structs with string keys")
    });
    items
}

#[derive(Serialize)]
struct LoadBalancerAttrs<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_unit: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    forwarding_rules: Vec<ForwardingRule>,
    droplet_ids: Vec<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_uuid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<DateTime<Utc>>,
}

/// A load balancer.
pub fn load_balancer(row: &LoadBalancer) -> Result<Observed, Implausible> {
    let attrs = LoadBalancerAttrs {
        ip: some(&row.ip),
        algorithm: row.algorithm.as_deref(),
        size_unit: row.size_unit,
        size: row.size.as_deref(),
        kind: row.kind.as_deref(),
        forwarding_rules: in_order(row.forwarding_rules.clone()),
        droplet_ids: sorted(&row.droplet_ids),
        tag: some(&row.tag),
        vpc_uuid: row.vpc_uuid.as_deref(),
        created_at: row.created_at,
    };
    let face = Face { name: &row.name, status: &row.status, region: row.region.as_deref() };
    Ok(Observed::new(ResourceKind::LoadBalancer, row.id.to_string(), face, &attrs))
}

#[derive(Serialize)]
struct DatabaseAttrs<'a> {
    engine: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_nodes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_slug: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_size_mib: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_network_uuid: Option<&'a str>,
    tags: Vec<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<DateTime<Utc>>,
}

/// A managed database. Its passwords were dropped when the provider's answer was parsed.
pub fn managed_db(row: &Database) -> Result<Observed, Implausible> {
    let attrs = DatabaseAttrs {
        engine: &row.engine,
        version: row.version.as_deref(),
        num_nodes: row.num_nodes,
        size_slug: row.size.as_deref(),
        storage_size_mib: row.storage_size_mib.map(|size| size.to_string()),
        private_network_uuid: row.private_network_uuid.as_deref(),
        tags: sorted(&row.tags),
        created_at: row.created_at,
    };
    let face = Face { name: &row.name, status: &row.status, region: Some(&row.region) };
    Ok(Observed::new(ResourceKind::ManagedDb, row.id.to_string(), face, &attrs))
}

#[derive(Serialize)]
struct ClusterAttrs<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    node_pools: Vec<PoolAttrs<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv4: Option<&'a str>,
    ha: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_uuid: Option<&'a str>,
    tags: Vec<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<DateTime<Utc>>,
}

#[derive(Serialize)]
struct PoolAttrs<'a> {
    name: &'a str,
    size_slug: &'a str,
    count: i64,
}

/// A Kubernetes cluster. Its workers are droplets and are listed there.
pub fn k8s_cluster(row: &KubernetesCluster) -> Result<Observed, Implausible> {
    let pools = row.node_pools.iter();
    let pools = pools.map(|pool| PoolAttrs { name: &pool.name, size_slug: &pool.size, count: pool.count });
    let attrs = ClusterAttrs {
        version: row.version.as_deref(),
        node_pools: in_order(pools.collect()),
        ipv4: some(&row.ipv4),
        ha: row.ha,
        vpc_uuid: row.vpc_uuid.as_deref(),
        tags: sorted(&row.tags),
        created_at: row.created_at,
    };
    let status = row.status.as_ref().map_or(STATUS_UNKNOWN, |status| status.state.as_str());
    let face = Face { name: &row.name, status, region: Some(&row.region) };
    Ok(Observed::new(ResourceKind::K8sCluster, row.id.to_string(), face, &attrs))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde::de::DeserializeOwned;
    use serde_json::json;

    use super::*;

    fn check<T: DeserializeOwned>(
        row: Value,
        observe: impl Fn(&T) -> Result<Observed, Implausible>,
        outcome: Expect,
    ) {
        let row: T = serde_json::from_value(row).unwrap();
        outcome.assert_eq(&match observe(&row) {
            Err(implausible) => format!("cannot be: {implausible}"),
            Ok(seen) => {
                let region = seen.region.as_deref().unwrap_or("-");
                format!(
                    "{} {} {:?} {} {region} {}",
                    seen.kind, seen.provider_id, seen.name, seen.status, seen.attrs
                )
            }
        });
    }

    fn droplet_row() -> Value {
        json!({
            "id": 600000001, "name": "web-1", "status": "active", "memory": 1024, "vcpus": 1, "disk": 25,
            "locked": false, "created_at": "2026-05-01T10:00:00Z", "features": ["private_networking", "backups"],
            "backup_ids": [9], "snapshot_ids": [7, 3], "volume_ids": ["b", "a"],
            "next_backup_window": { "start": "2026-05-02T00:00:00Z", "end": "2026-05-02T23:00:00Z" },
            "image": { "id": 5, "slug": "debian-12-x64", "name": "12 x64", "distribution": "Debian" },
            "size_slug": "s-1vcpu-1gb",
            "networks": { "v4": [
                { "ip_address": "10.0.0.2", "type": "private" }, { "ip_address": "203.0.113.7", "type": "public" }
            ], "v6": [] },
            "region": { "slug": "syd1", "name": "Sydney 1" }, "tags": ["web", "k8s:0191", "k8s"],
        })
    }

    #[test]
    fn each_kind_keeps_what_counts() {
        check(
            droplet_row(),
            droplet,
            expect![[
                r#"droplet 600000001 "web-1" active syd1 {"size_slug":"s-1vcpu-1gb","image":"debian-12-x64","image_name":"12 x64","memory":1024,"vcpus":1,"disk":25,"features":["backups","private_networking"],"tags":["k8s","k8s:0191","web"],"public_ipv4":["203.0.113.7"],"private_ipv4":["10.0.0.2"],"ipv6":[],"volume_ids":["a","b"],"has_backups":true,"k8s_cluster":"0191","created_at":"2026-05-01T10:00:00Z"}"#
            ]],
        );
        check(
            json!({ "name": "Example.com", "ttl": 1800, "zone_file": "$ORIGIN example.com.\n…" }),
            dns_zone,
            expect![[r#"dns_zone example.com "example.com" active - {"ttl":1800}"#]],
        );
        check(
            json!({
                "id": "v-1", "name": "data", "size_gigabytes": 100, "region": "syd1", "droplet_ids": null,
                "filesystem_type": "ext4", "tags": null,
            }),
            volume,
            expect![[
                r#"volume v-1 "data" active syd1 {"size_gigabytes":"100","droplet_ids":[],"filesystem_type":"ext4","tags":[]}"#
            ]],
        );
        check(
            json!({
                "id": "6372321", "name": "before upgrade", "regions": ["syd1"], "resource_id": "600000001",
                "resource_type": "droplet", "min_disk_size": 25, "size_gigabytes": 2.340, "tags": [],
            }),
            snapshot,
            expect![[
                r#"snapshot 6372321 "before upgrade" active syd1 {"resource_type":"droplet","resource_id":"600000001","size_gigabytes":"2.34","min_disk_size":25,"regions":["syd1"],"tags":[]}"#
            ]],
        );
        check(
            json!({ "id": 77, "name": "weekly", "regions": ["syd1", "ams3"], "size_gigabytes": 0.1008 }),
            |row| droplet_backup(600000001, row),
            expect![[
                r#"droplet_backup 77 "weekly" active - {"droplet_id":"600000001","size_gigabytes":"0.1008","regions":["ams3","syd1"]}"#
            ]],
        );
        check(
            json!({ "ip": "203.0.113.9", "region": { "slug": "syd1" }, "droplet": null, "locked": true }),
            floating_ip,
            expect![[r#"floating_ip 203.0.113.9 "203.0.113.9" unassigned syd1 {}"#]],
        );
        check(
            json!({ "ip": "203.0.113.9", "region": { "slug": "syd1" }, "droplet": { "id": 4 } }),
            floating_ip,
            expect![[r#"floating_ip 203.0.113.9 "203.0.113.9" assigned syd1 {"droplet_id":"4"}"#]],
        );
        check(
            json!({
                "id": "f-1", "name": "web", "status": "succeeded", "droplet_ids": [3, 1], "tags": [],
                "inbound_rules": [
                    { "protocol": "tcp", "ports": "443", "sources": { "addresses": ["::/0", "0.0.0.0/0"] } },
                    { "protocol": "tcp", "ports": "22", "sources": { "tags": ["admin"] } },
                ],
                "outbound_rules": [], "pending_changes": [{ "droplet_id": 3, "removing": false }],
            }),
            firewall,
            expect![[
                r#"firewall f-1 "web" succeeded - {"inbound_rules":[{"protocol":"tcp","ports":"22","sources":{"tags":["admin"]}},{"protocol":"tcp","ports":"443","sources":{"addresses":["0.0.0.0/0","::/0"]}}],"outbound_rules":[],"droplet_ids":[1,3],"tags":[]}"#
            ]],
        );
        check(
            json!({
                "id": "l-1", "name": "front", "ip": "", "status": "new", "algorithm": "round_robin",
                "region": { "slug": "syd1" }, "droplet_ids": [2, 1],
                "forwarding_rules": [{
                    "entry_protocol": "https", "entry_port": 443, "target_protocol": "http", "target_port": 80,
                    "certificate_id": "c", "tls_passthrough": false,
                }],
            }),
            load_balancer,
            expect![[
                r#"load_balancer l-1 "front" new syd1 {"algorithm":"round_robin","forwarding_rules":[{"entry_protocol":"https","entry_port":443,"target_protocol":"http","target_port":80,"certificate_id":"c","tls_passthrough":false}],"droplet_ids":[1,2]}"#
            ]],
        );
        check(
            json!({
                "id": "d-1", "name": "main", "engine": "pg", "version": "17", "num_nodes": 2, "size": "db-s-2vcpu-4gb",
                "region": "syd1", "status": "online", "storage_size_mib": 61440,
                "connection": { "uri": "postgres://doadmin:hunter2@db:25060", "password": "hunter2" },
                "users": [{ "name": "doadmin", "password": "hunter2" }],
            }),
            managed_db,
            expect![[
                r#"managed_db d-1 "main" online syd1 {"engine":"pg","version":"17","num_nodes":2,"size_slug":"db-s-2vcpu-4gb","storage_size_mib":"61440","tags":[]}"#
            ]],
        );
        check(
            json!({
                "id": "k-1", "name": "prod", "region": "syd1", "version": "1.33.1-do.0",
                "status": { "state": "running", "message": "" }, "node_pools": [
                    { "id": "p2", "name": "pool-b", "size": "s-2vcpu-4gb", "count": 3, "nodes": [] },
                    { "id": "p1", "name": "pool-a", "size": "s-2vcpu-4gb", "count": 2, "nodes": [] },
                ],
            }),
            k8s_cluster,
            expect![[
                r#"k8s_cluster k-1 "prod" running syd1 {"version":"1.33.1-do.0","node_pools":[{"name":"pool-a","size_slug":"s-2vcpu-4gb","count":2},{"name":"pool-b","size_slug":"s-2vcpu-4gb","count":3}],"ha":false,"tags":[]}"#
            ]],
        );
    }

    #[test]
    fn a_negative_size_is_not_believed() {
        check(
            json!({ "id": "s", "name": "s", "resource_id": "1", "resource_type": "droplet", "size_gigabytes": -1 }),
            snapshot,
            expect!["cannot be: snapshot s: its size is below zero"],
        );
        check(
            json!({ "id": "v", "name": "v", "size_gigabytes": -5, "region": "syd1" }),
            volume,
            expect!["cannot be: volume v: its size is below zero"],
        );
    }

    #[test]
    fn what_moves_by_itself_is_no_change() {
        let seen = |row: Value| droplet(&serde_json::from_value(row).unwrap()).unwrap().fingerprint;
        let before = seen(droplet_row());
        let mut row = droplet_row();
        row["locked"] = json!(true);
        row["snapshot_ids"] = json!([3, 7, 8]);
        row["backup_ids"] = json!([10, 9]);
        row["next_backup_window"] = json!(null);
        row["tags"] = json!(["k8s", "k8s:0191", "web"]);
        assert_eq!(before, seen(row.clone()));
        row["name"] = json!("web-2");
        assert_ne!(before, seen(row));
    }

    #[test]
    fn attributes_too_large_for_a_message_are_replaced_by_their_hash() {
        let row = |last: &str| {
            let mut addresses: Vec<String> =
                (0..5000).map(|n| format!("10.0.{}.{}/32", n / 256, n % 256)).collect();
            addresses.push(last.to_owned());
            let rule = json!({ "protocol": "tcp", "ports": "22", "sources": { "addresses": addresses } });
            let row = json!({ "id": "f", "name": "f", "status": "succeeded", "inbound_rules": [rule] });
            firewall(&serde_json::from_value(row).unwrap()).unwrap()
        };
        let (one, other) = (row("192.0.2.1/32"), row("192.0.2.2/32"));
        assert!(one.attrs.len() < ATTRS_BYTES_MAX, "{} bytes", one.attrs.len());
        assert!(one.attrs_map()["omitted"]["inbound_rules"].as_str().unwrap().starts_with("sha256:"));
        assert_ne!(one.attrs, other.attrs);
    }

    #[test]
    fn a_hostile_name_is_cut() {
        let row = json!({ "name": "x".repeat(4000), "ttl": null });
        let seen = dns_zone(&serde_json::from_value(row).unwrap()).unwrap();
        assert_eq!(seen.name.chars().count(), NAME_CHARS_MAX + 1);
    }
}
