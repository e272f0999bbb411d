//! From the compact fields of a row to what goes on the wire. A field that is set always wins; what is
//! absent follows from the others: a droplet's disk from its size, its addresses from its id.

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::reference;
use crate::state::Account;
use crate::table::{Fields, Row};

/// The wire form of a row that depends on no other row.
pub fn row(kind: Kind, fields: &Fields) -> Value {
    let mut wire: Fields = fields
        .iter()
        .filter(|(name, _)| !name.starts_with('_'))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    match kind {
        Kind::Droplets => droplet(&mut wire, fields.contains_key("_private_only")),
        Kind::Volumes | Kind::FloatingIps | Kind::LoadBalancers | Kind::Actions => expand_region(&mut wire),
        Kind::Snapshots
        | Kind::Backups
        | Kind::Firewalls
        | Kind::Databases
        | Kind::KubernetesClusters
        | Kind::Domains
        | Kind::Projects
        | Kind::Tags
        | Kind::Vpcs
        | Kind::Keys
        | Kind::SpacesKeys
        | Kind::Apps
        | Kind::Invoices => {}
    }
    Value::Object(wire)
}

/// An address with its droplet, which the wire carries whole.
pub fn floating_ip(account: &Account, address: &Row) -> Value {
    let mut wire = row(Kind::FloatingIps, address.fields());
    if let Some(id) = address.int("droplet") {
        let droplet = account.table(Kind::Droplets).get(&id.to_string());
        wire["droplet"] = droplet.map_or(Value::Null, |droplet| row(Kind::Droplets, droplet.fields()));
    }
    wire["project_id"] =
        address.text("ip").and_then(|ip| account.membership.home(&format!("do:floatingip:{ip}"))).into();
    if wire["project_id"].is_null() {
        // In no project the field is the nil UUID rather than null.
        wire["project_id"] = json!("00000000-0000-0000-0000-000000000000");
    }
    wire
}

/// Size of a droplet's disk.
pub fn disk_gb(droplet: &Row) -> i64 {
    let of_size =
        || droplet.text("size_slug").and_then(reference::size).and_then(|size| size["disk"].as_i64());
    droplet.int("disk").or_else(of_size).unwrap_or(25)
}

/// Whether a droplet is in the GPU listing instead of the ordinary one.
pub fn has_gpu(droplet: &Row) -> bool {
    droplet.text("size_slug").is_some_and(|slug| slug.starts_with("gpu-"))
}

fn expand_region(wire: &mut Fields) {
    if let Some(Value::String(slug)) = wire.get("region") {
        let region = reference::region(slug);
        wire.insert("region".into(), region);
    }
}

fn droplet(wire: &mut Fields, private_only: bool) {
    expand_region(wire);
    let slug = wire.get("size_slug").and_then(Value::as_str).unwrap_or("s-1vcpu-1gb").to_owned();
    let size = reference::size(&slug).cloned().unwrap_or_else(|| {
        let mut unknown = reference::size("s-1vcpu-1gb").cloned().unwrap_or_default();
        unknown["slug"] = json!(slug);
        unknown
    });
    for name in ["memory", "vcpus", "disk", "disk_info", "gpu_info"] {
        if let Some(value) = size.get(name) {
            wire.entry(name).or_insert_with(|| value.clone());
        }
    }
    wire.entry("size").or_insert(size);
    let image = match wire.get("image") {
        Some(Value::String(slug)) => reference::image(slug).cloned(),
        Some(Value::Number(id)) => id.as_i64().and_then(reference::image_by_id).cloned(),
        Some(Value::Object(_)) => wire.get("image").cloned(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_)) | None => None,
    };
    wire.insert("image".into(), image.or_else(|| reference::image("ubuntu-24-04-x64").cloned()).into());

    let id = wire.get("id").and_then(Value::as_i64).unwrap_or_default();
    let features = wire.entry("features").or_insert_with(|| json!(["private_networking", "droplet_agent"]));
    let ipv6 = features.as_array().is_some_and(|list| list.iter().any(|feature| feature == "ipv6"));
    wire.entry("networks").or_insert_with(|| networks(id, private_only, ipv6));
    for (name, value) in [
        ("locked", json!(false)),
        ("status", json!("active")),
        ("kernel", Value::Null),
        ("backup_ids", json!([])),
        ("next_backup_window", Value::Null),
        ("snapshot_ids", json!([])),
        ("volume_ids", json!([])),
        ("tags", json!([])),
        // Not in the published schema, but on the live service.
        ("subnet_uuid", json!("3f0a1d62-58c4-4d3c-9b8e-4a5d2c9e7710")),
    ] {
        wire.entry(name).or_insert(value);
    }
}

/// The addresses of a droplet, which follow from its id; the private one is listed first.
fn networks(id: i64, private_only: bool, ipv6: bool) -> Value {
    let [.., high, middle, low] = id.to_be_bytes();
    let mut v4 = vec![json!({
        "ip_address": format!("10.{}.{middle}.{low}", 100 + high % 100),
        "netmask": "255.255.240.0", "gateway": null, "type": "private",
    })];
    if !private_only {
        v4.push(json!({
            "ip_address": public_ipv4(id), "netmask": "255.255.240.0",
            "gateway": format!("{}.198.{middle}.1", 128 + high % 64), "type": "public",
        }));
    }
    let mut v6 = Vec::new();
    if ipv6 && !private_only {
        v6.push(json!({
            "ip_address": format!("2604:a880:4:1d0::{middle:x}:{low:x}"), "netmask": 64,
            "gateway": "2604:a880:4:1d0::1", "type": "public",
        }));
    }
    json!({"v4": v4, "v6": v6})
}

/// The public address of a droplet.
pub fn public_ipv4(id: i64) -> String {
    let [.., high, middle, low] = id.to_be_bytes();
    format!("{}.198.{middle}.{low}", 128 + high % 64)
}
