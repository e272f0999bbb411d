//! What a row has where nothing is said, and which fields must be of which type.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::clock::stamp;
use crate::kind::Kind;
use crate::reference;
use crate::rejected::Rejected;
use crate::state::Account;
use crate::table::Fields;

/// Fills in what is absent.
pub fn fill(
    account: &mut Account,
    kind: Kind,
    fields: &mut Fields,
    now: DateTime<Utc>,
) -> Result<(), Rejected> {
    identify(account, kind, fields)?;
    let id = fields.get(kind.id_field()).cloned().unwrap_or_default();
    let label = id.as_str().map_or_else(|| id.to_string(), |text| text.chars().take(8).collect());
    let vpc = || account.table(Kind::Vpcs).at(0).map(|(id, _)| id.to_owned());
    let created_at = stamp(now);
    let defaults = match kind {
        Kind::Droplets => json!({
            "name": format!("droplet-{label}"), "size_slug": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64",
            "region": "syd1", "status": "active", "tags": [], "created_at": created_at, "vpc_uuid": vpc(),
        }),
        Kind::Volumes => json!({
            "name": format!("volume-{label}"), "size_gigabytes": 10, "region": "syd1", "droplet_ids": [],
            "description": "", "filesystem_type": "ext4", "filesystem_label": "", "tags": [],
            "created_at": created_at,
        }),
        Kind::Snapshots => json!({
            "name": format!("snapshot-{label}"), "resource_type": "droplet", "resource_id": "",
            "regions": ["syd1"], "min_disk_size": 25, "size_gigabytes": 2.34, "tags": [],
            "created_at": created_at,
        }),
        Kind::Backups => {
            let droplet = fields.remove("droplet_id").or_else(|| fields.remove("_droplet_id"));
            let droplet = droplet.filter(Value::is_i64);
            let droplet = droplet.ok_or_else(|| Rejected::new("droplet_id", "must be a whole number"))?;
            json!({
                "name": format!("backup-{label}"), "regions": ["syd1"], "min_disk_size": 25,
                "size_gigabytes": 2.36, "created_at": created_at, "_droplet_id": droplet,
            })
        }
        Kind::FloatingIps => json!({"region": "syd1", "droplet": null, "locked": false}),
        Kind::Firewalls => json!({
            "name": format!("firewall-{label}"), "status": "succeeded", "created_at": created_at,
            "pending_changes": [], "droplet_ids": [], "tags": [],
            "inbound_rules": [firewall_rule("22", "sources"), firewall_rule("443", "sources")],
            "outbound_rules": [firewall_rule("0", "destinations")],
        }),
        Kind::LoadBalancers => json!({
            "name": format!("lb-{label}"), "ip": "209.38.20.11", "ipv6": "", "size_unit": 1,
            "size": "lb-small", "algorithm": "round_robin", "status": "active", "created_at": created_at,
            "region": "syd1", "vpc_uuid": vpc(), "droplet_ids": [], "tag": "", "type": "REGIONAL",
            "network": "EXTERNAL", "redirect_http_to_https": false, "enable_proxy_protocol": false,
            "enable_backend_keepalive": false, "http_idle_timeout_seconds": 60,
            "forwarding_rules": [{
                "entry_protocol": "https", "entry_port": 443, "target_protocol": "http", "target_port": 80,
                "certificate_id": "", "tls_passthrough": true,
            }],
            "health_check": {
                "protocol": "http", "port": 80, "path": "/", "check_interval_seconds": 10,
                "response_timeout_seconds": 5, "unhealthy_threshold": 3, "healthy_threshold": 5,
            },
            "sticky_sessions": {"type": "none"},
        }),
        Kind::Databases => database(&label, fields, &vpc(), &created_at),
        Kind::KubernetesClusters => json!({
            "name": format!("cluster-{label}"), "region": "syd1", "version": "1.33.1-do.2",
            "cluster_subnet": "10.244.0.0/16", "service_subnet": "10.245.0.0/16", "vpc_uuid": vpc(),
            "ipv4": "170.64.10.20", "endpoint": format!("https://{label}.k8s.ondigitalocean.com"),
            "tags": ["k8s"], "node_pools": [], "auto_upgrade": false, "surge_upgrade": true, "ha": false,
            "registry_enabled": false, "registries": null,
            "maintenance_policy": {"start_time": "15:00", "duration": "4h0m0s", "day": "any"},
            "status": {"state": "running", "message": ""}, "created_at": created_at,
            "updated_at": created_at,
        }),
        Kind::Domains => json!({"ttl": 1800}),
        Kind::Projects => json!({
            "owner_uuid": account.profile.get("uuid"), "owner_id": 258_992,
            "name": format!("project-{label}"), "description": "", "purpose": "Service or API",
            "environment": "Production", "is_default": false, "created_at": created_at,
            "updated_at": created_at,
        }),
        Kind::Vpcs => json!({
            "urn": format!("do:vpc:{}", id.as_str().unwrap_or_default()), "name": format!("vpc-{label}"),
            "description": "", "region": "syd1", "ip_range": "10.20.0.0/20", "default": false,
            "created_at": created_at,
        }),
        Kind::Keys => json!({
            "name": format!("key-{label}"), "fingerprint": "3b:16:bf:e4:8b:00:8b:b8:59:8c:a9:d3:f0:19:45:fa",
            "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExample ops@example.com",
        }),
        Kind::SpacesKeys => json!({
            "name": format!("spaces-key-{label}"), "grants": [], "created_at": created_at,
        }),
        Kind::Apps => json!({
            "owner_uuid": account.profile.get("uuid"), "spec": {"name": format!("app-{label}")},
            "default_ingress": "https://example.ondigitalocean.app",
            "live_url": "https://example.ondigitalocean.app", "created_at": created_at,
            "updated_at": created_at,
        }),
        Kind::Actions => json!({
            "status": "completed", "type": "create", "started_at": created_at, "completed_at": created_at,
            "resource_id": null, "resource_type": "droplet", "region": "syd1", "region_slug": "syd1",
        }),
        Kind::Tags | Kind::Invoices => json!({}),
    };
    if let Value::Object(defaults) = defaults {
        for (name, value) in defaults {
            fields.entry(name).or_insert(value);
        }
    }
    Ok(())
}

/// Live answers carry an action beside what the schema has.
fn firewall_rule(ports: &str, peer: &str) -> Value {
    json!({"protocol": "tcp", "ports": ports, "action": "allow", peer: {"addresses": ["0.0.0.0/0", "::/0"]}})
}

/// A database cluster with its secrets, as the provider answers it: whoever reads it must drop them.
fn database(label: &str, fields: &Fields, vpc: &Option<String>, created_at: &str) -> Value {
    let name =
        fields.get("name").and_then(Value::as_str).map_or_else(|| format!("db-{label}"), str::to_owned);
    let password = format!("AVNS_secret-{label}-primary");
    let connection = |host: &str| {
        let host = format!("{host}{name}-do-user-19081923-0.db.ondigitalocean.com");
        json!({
            "protocol": "postgresql",
            "uri": format!("postgresql://doadmin:{password}@{host}:25060/defaultdb?sslmode=require"),
            "database": "defaultdb", "host": host, "port": 25060, "user": "doadmin", "password": password,
            "ssl": true,
        })
    };
    json!({
        "name": name, "engine": "pg", "version": "17", "semantic_version": "17.5", "num_nodes": 1,
        "size": "db-s-1vcpu-2gb", "region": "syd1", "status": "online", "created_at": created_at,
        "private_network_uuid": vpc, "tags": null, "db_names": null, "storage_size_mib": 30720,
        "connection": connection(""), "private_connection": connection("private-"),
        "users": [
            {"name": "doadmin", "role": "primary", "password": password},
            {"name": "app", "role": "normal", "password": format!("AVNS_secret-{label}-app")},
        ],
        "maintenance_window": {"day": "sunday", "hour": "15:00:00", "pending": false, "description": []},
    })
}

/// Gives a row its identifying field; refuses fields of a wrong type that the simulator relies on.
pub fn identify(account: &mut Account, kind: Kind, fields: &mut Fields) -> Result<(), Rejected> {
    check(kind, fields)?;
    let name = kind.id_field();
    if let Some(id) = fields.get(name) {
        let fits =
            if kind.has_integer_id() { id.is_i64() } else { id.as_str().is_some_and(|id| !id.is_empty()) };
        let wanted = if kind.has_integer_id() { "must be a whole number" } else { "must be a text" };
        return if fits { Ok(()) } else { Err(Rejected::new(name, wanted)) };
    }
    let id = match kind {
        Kind::Domains | Kind::Tags => return Err(Rejected::new(name, "is required")),
        Kind::Droplets => account.ids.droplet().into(),
        Kind::Actions => account.ids.action().into(),
        Kind::Backups => account.ids.image().into(),
        Kind::Keys => account.ids.record().into(),
        Kind::Snapshots if fields.get("resource_type").and_then(Value::as_str) != Some("volume") => {
            account.ids.image().to_string().into()
        }
        Kind::FloatingIps => free_address(account).into(),
        Kind::SpacesKeys => format!("DO00{:016X}", account.ids.word()).into(),
        Kind::Volumes
        | Kind::Snapshots
        | Kind::Firewalls
        | Kind::LoadBalancers
        | Kind::Databases
        | Kind::KubernetesClusters
        | Kind::Projects
        | Kind::Vpcs
        | Kind::Apps
        | Kind::Invoices => account.ids.uuid().to_string().into(),
    };
    fields.insert(name.to_owned(), id);
    Ok(())
}

/// The first address of the simulator's own range that is not taken.
fn free_address(account: &Account) -> String {
    let table = account.table(Kind::FloatingIps);
    (table.len()..)
        .map(|number| format!("209.{}.{}.{}", 38 + number / 65_536 % 100, number / 256 % 256, number % 256))
        .find(|ip| !table.contains(ip))
        .expect("a table is smaller than the range")
}

/// Fields that listings and effects read; the others may be anything, as a test may want them wrong.
fn check(kind: Kind, fields: &Fields) -> Result<(), Rejected> {
    let texts = ["name", "status", "size_slug", "region_slug", "resource_type", "resource_id", "created_at"];
    for name in texts {
        if fields.get(name).is_some_and(|value| !value.is_string() && !value.is_null())
            && !(kind == Kind::KubernetesClusters && name == "status")
            && !(kind == Kind::Actions && name == "resource_id")
        {
            return Err(Rejected::new(name, "must be a text"));
        }
    }
    for name in ["tags", "droplet_ids", "volume_ids", "backup_ids", "snapshot_ids", "regions"] {
        if fields.get(name).is_some_and(|value| !value.is_array() && !value.is_null()) {
            return Err(Rejected::new(name, "must be a list"));
        }
    }
    if kind == Kind::Droplets
        && let Some(slug) = fields.get("size_slug").and_then(Value::as_str)
        && reference::size(slug).is_none()
        && !fields.contains_key("size")
    {
        return Err(Rejected::new("size_slug", "no such size; give size as an object for one of your own"));
    }
    Ok(())
}
