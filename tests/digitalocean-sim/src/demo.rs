//! The account that a newcomer meets: a small company with two tenants, and its bills.
//!
//! `skyai-internal` is absent on purpose: the first sync creates it.

use chrono::{TimeZone, Utc};
use serde_json::{Value, json};

use crate::build;
use crate::rejected::Rejected;
use crate::render::public_ipv4;
use crate::state::Account;

const CLUSTER: &str = "7d0a1c52-6c1e-4a53-9a2e-0b5f6f0e9c11";
const POOL: &str = "0e8f6f3d-41f5-4a86-8f1b-53b5b0a3b7aa";

const ACME_DATA: &str = "5b3d3a1e-7b38-4a27-9b41-3a3a9c1f0d55";

/// April 2026: 33 lines, gross 86.92, of which tax 7.90.
const APRIL: &str = include_str!("demo/2026-04.csv");
/// March 2026, in the older form without the last column.
const MARCH: &str = include_str!("demo/2026-03.csv");
/// January 2026, with a credit of more than a thousand dollars. February had no usage and no invoice.
const JANUARY: &str = include_str!("demo/2026-01.csv");

/// Id, name, size, status, project, tags.
type DemoDroplet = (i64, &'static str, &'static str, &'static str, &'static str, &'static [&'static str]);

/// Ordinary droplets. The last one is younger than the bills.
const DROPLETS: [DemoDroplet; 10] = [
    (600_000_001, "acme-web-1", "s-1vcpu-1gb", "active", "acme-prod", &["web", "acme"]),
    (600_000_002, "acme-web-2", "s-1vcpu-1gb", "active", "acme-prod", &["web", "acme"]),
    (600_000_003, "acme-worker-1", "s-1vcpu-512mb-10gb", "active", "acme-prod", &["acme"]),
    (600_000_004, "globex-app-1", "s-1vcpu-1gb", "active", "globex-prod", &["web", "globex"]),
    (600_000_005, "globex-cron-1", "s-1vcpu-512mb-10gb", "off", "globex-prod", &["globex"]),
    (600_000_006, "gateway-1", "s-1vcpu-1gb", "active", "platform", &["platform"]),
    (600_000_007, "monitor-1", "s-1vcpu-512mb-10gb", "active", "platform", &["platform"]),
    (600_000_008, "bastion-1", "s-1vcpu-512mb-10gb", "active", "platform", &["platform"]),
    (600_000_009, "build-1", "s-1vcpu-1gb", "active", "platform", &[]),
    (600_000_012, "staging-1", "s-1vcpu-2gb", "active", "platform", &[]),
];

/// Droplets with backups, which cost a fifth of the droplet.
const BACKED_UP: [i64; 4] = [600_000_001, 600_000_002, 600_000_004, 600_000_006];

/// Builds the account. It is the same whenever it is built.
pub fn account(seed: u64) -> Result<Account, Rejected> {
    let opened = Utc.with_ymd_and_hms(2026, 1, 12, 2, 14, 7).single().expect("the date exists");
    let mut droplets: Vec<Value> = DROPLETS.iter().map(droplet).collect();
    droplets.extend([600_000_010, 600_000_011].map(worker));
    let state = json!({
        "account": {"email": "ops@skyai.example", "name": "SkyAI Operations", "team": {
            "uuid": "2b0a8a54-54c5-4b6f-9f0a-7a4fbb1a30d2", "name": "SkyAI",
        }},
        "balance": {
            "month_to_date_balance": "31.07", "account_balance": "0.00", "month_to_date_usage": "31.07",
        },
        "projects": [
            {"name": "platform", "is_default": true, "purpose": "Operational / Developer tooling",
             "resources": ["do:space:platform-backups"]},
            {"name": "acme-prod", "purpose": "Web Application", "resources": ["do:space:acme-assets"]},
            // Projects made long ago have no environment.
            {"name": "globex-prod", "purpose": "Web Application", "environment": ""},
        ],
        "keys": [{"name": "ops laptop"}],
        "spaces_keys": [{
            "name": "backup writer", "grants": [{"bucket": "platform-backups", "permission": "readwrite"}],
        }],
        "droplets": droplets,
        "volumes": [
            {"id": ACME_DATA, "name": "acme-data-01", "size_gigabytes": 20, "droplet_ids": [600_000_001], "project": "acme-prod"},
            {"name": "globex-data-01", "size_gigabytes": 10, "droplet_ids": [600_000_004],
             "project": "globex-prod", "tags": null},
            {"name": "monitor-data", "size_gigabytes": 10, "droplet_ids": [600_000_007], "project": "platform"},
            {"name": "orphan-data-01", "size_gigabytes": 5, "droplet_ids": null, "project": null},
        ],
        "snapshots": [
            {"name": "acme-web-1-2026-03-28", "resource_id": "600000001", "size_gigabytes": 2.4},
            {"name": "gateway-1-golden", "resource_id": "600000006", "size_gigabytes": 3.1,
             "regions": ["syd1", "ric1"]},
            // Its droplet is gone; the snapshot stays and bills.
            {"name": "legacy-web-1-final", "resource_id": "598000417", "size_gigabytes": 1.9, "tags": null},
            {"name": "acme-data-01-weekly", "resource_type": "volume", "size_gigabytes": 1.2,
             "resource_id": ACME_DATA},
        ],
        "backups": BACKED_UP.iter().flat_map(|id| [backup(*id, 1), backup(*id, 2)]).collect::<Vec<_>>(),
        "floating_ips": [
            {"ip": "209.38.0.1", "droplet": 600_000_001, "project": "acme-prod"},
            {"ip": "209.38.0.2", "droplet": 600_000_006, "project": "platform"},
            {"ip": "209.38.0.3", "project": "platform"},
        ],
        "firewalls": [
            {"name": "web-only", "droplet_ids": [600_000_001, 600_000_002, 600_000_004], "tags": null},
            {"name": "platform", "droplet_ids": [600_000_006, 600_000_007], "tags": ["platform"]},
        ],
        "load_balancers": [{
            "name": "acme-lb", "droplet_ids": [600_000_001, 600_000_002], "project": "acme-prod",
        }],
        "databases": [{"name": "globex-db", "project": "globex-prod", "tags": ["globex"]}],
        "kubernetes_clusters": [cluster()],
        "domains": [
            zone("acme.example", "acme-prod".into(), 600_000_001),
            zone("globex.example", "globex-prod".into(), 600_000_004),
            // In no project: an operator has to classify it.
            zone("arcadia.example", Value::Null, 600_000_006),
        ],
        "invoices": [
            {"period": "2026-01", "csv": JANUARY},
            {"period": "2026-03", "csv": MARCH},
            {"period": "2026-04", "csv": APRIL},
        ],
        "payments": [{
            "description": "Referral credit", "amount": "-8.62", "type": "Credit",
            "date": "2026-04-18T03:20:11Z", "invoice_id": null, "invoice_uuid": null,
        }],
    });
    build::account(&state, seed, opened)
}

fn droplet(&(id, name, size, status, project, tags): &DemoDroplet) -> Value {
    let mut features = vec!["private_networking", "droplet_agent"];
    if BACKED_UP.contains(&id) {
        features.push("backups");
    }
    json!({
        "id": id, "name": name, "size_slug": size, "status": status, "project": project, "tags": tags,
        "features": features, "created_at": "2026-01-12T02:14:07Z",
        // A distribution that the published enum does not know.
        "image": if name == "build-1" { "almalinux-9-x64" } else { "ubuntu-24-04-x64" },
    })
}

/// The cluster's nodes are droplets that nobody should touch, and are in no project themselves.
fn worker(id: i64) -> Value {
    json!({
        "id": id, "name": format!("pool-a-{}", id % 100), "size_slug": "s-1vcpu-2gb", "project": null,
        "tags": ["k8s", format!("k8s:{CLUSTER}"), "k8s:worker"], "created_at": "2026-04-26T00:02:41Z",
        "image": "debian-12-x64",
    })
}

fn backup(droplet: i64, week: i64) -> Value {
    let day = 7 * week;
    json!({
        "name": format!("droplet-{droplet}-weekly-{week}"), "droplet_id": droplet,
        "created_at": format!("2026-04-{day:02}T15:40:00Z"),
    })
}

fn cluster() -> Value {
    let node = |droplet: i64| {
        json!({
            "id": format!("0e8f6f3d-41f5-4a86-8f1b-53b5b0a3b7{:02}", droplet % 100),
            "name": format!("pool-a-{}", droplet % 100), "status": {"state": "running"},
            "droplet_id": droplet.to_string(), "created_at": "2026-04-26T00:02:41Z",
            "updated_at": "2026-04-26T00:05:12Z",
        })
    };
    json!({
        "id": CLUSTER, "name": "platform-k8s", "project": "platform",
        "tags": ["k8s", format!("k8s:{CLUSTER}")],
        "node_pools": [{
            "id": POOL, "name": "pool-a", "size": "s-1vcpu-2gb", "count": 2, "auto_scale": false,
            "min_nodes": 0, "max_nodes": 0, "labels": null, "taints": [],
            "tags": ["k8s", format!("k8s:{CLUSTER}"), "k8s:worker"],
            "nodes": [node(600_000_010), node(600_000_011)],
        }],
    })
}

fn zone(name: &str, project: Value, droplet: i64) -> Value {
    json!({"name": name, "project": project, "records": [
        {"type": "A", "name": "@", "data": public_ipv4(droplet), "ttl": 3600},
        {"type": "CNAME", "name": "www", "data": name},
        {"type": "MX", "name": "@", "data": format!("mail.{name}"), "priority": 10},
        {"type": "TXT", "name": "@", "data": "v=spf1 mx -all"},
        {"type": "CAA", "name": "@", "data": "letsencrypt.org", "flags": 0, "tag": "issue"},
    ]})
}
