//! Generated rows: as many of a kind as asked, the same from the same seed.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use serde_json::{Value, json};

use crate::build;
use crate::clock::stamp;
use crate::defaults;
use crate::kind::Kind;
use crate::reference::{COMMON_SIZES, region_slugs};
use crate::routes::{add_record, record};
use crate::state::{Account, into_fields, row_id};

/// Regions in which generated resources are spread.
const REGIONS_USED: usize = 4;

/// What generated droplets are for.
const ROLES: [&str; 5] = ["web", "api", "worker", "cache", "build"];

/// Adds `count` rows of a kind, spread over the projects that are there.
pub fn add(account: &mut Account, kind: Kind, count: usize, now: DateTime<Utc>) {
    let projects: Vec<String> = homes(account);
    for index in 0..count {
        let mut fields = into_fields(row(account, kind, index));
        let created_at = stamp(epoch() + TimeDelta::minutes(7 * i64::try_from(index).unwrap_or(0)));
        if !matches!(kind, Kind::Domains | Kind::Tags) {
            fields.insert("created_at".into(), created_at.clone().into());
        }
        if kind == Kind::Invoices {
            continue;
        }
        defaults::fill(account, kind, &mut fields, now).expect("generated rows are complete");
        let id = row_id(kind, &fields).expect("the defaults include the identifying field");
        build::insert(account, kind, fields);
        if kind == Kind::Domains {
            fill_zone(account, &id, index);
        }
        if let (Some(word), false) = (kind.urn_word(), projects.is_empty()) {
            let project = &projects[index % projects.len()];
            account.membership.assign(project, &format!("do:{word}:{id}"), created_at);
        }
    }
}

/// Adds buckets, which are only URNs.
pub fn add_spaces(account: &mut Account, count: usize, now: DateTime<Utc>) {
    let projects = homes(account);
    for index in 0..count {
        let bucket = format!("bucket-{index:04}");
        if !projects.is_empty() {
            let project = &projects[index % projects.len()];
            account.membership.assign(project, &format!("do:space:{bucket}"), stamp(now));
        }
        account.spaces.push(bucket);
    }
}

/// Named projects first; the default one only when there is no other.
fn homes(account: &Account) -> Vec<String> {
    let default = account.default_project();
    let named: Vec<String> = account
        .table(Kind::Projects)
        .iter()
        .map(|(id, _)| id.to_owned())
        .filter(|id| Some(id) != default.as_ref())
        .collect();
    if named.is_empty() { default.into_iter().collect() } else { named }
}

fn epoch() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 5, 8, 0, 0).single().expect("the date exists")
}

fn row(account: &mut Account, kind: Kind, index: usize) -> Value {
    let region = region_slugs().nth(index % REGIONS_USED);
    let role = ROLES[index % ROLES.len()];
    match kind {
        Kind::Droplets => json!({
            "name": format!("{role}-{index:06}"), "size_slug": COMMON_SIZES[index % COMMON_SIZES.len()],
            "region": region, "tags": [role, "seeded"],
            "status": if index % 17 == 16 { "off" } else { "active" },
        }),
        Kind::Volumes => {
            let droplet = nth_id(account, Kind::Droplets, index).filter(|_| index % 5 != 4);
            json!({
                "name": format!("volume-{index:06}"), "region": region, "size_gigabytes": 10 + index % 90,
                "droplet_ids": droplet.into_iter().filter_map(|id| id.parse::<i64>().ok()).collect::<Vec<_>>(),
                "tags": if index.is_multiple_of(3) { Value::Null } else { json!([role]) },
            })
        }
        Kind::Snapshots => {
            let volume = nth_id(account, Kind::Volumes, index).filter(|_| index % 2 == 1);
            let of = if volume.is_some() { "volume" } else { "droplet" };
            let parent = volume.or_else(|| nth_id(account, Kind::Droplets, index));
            json!({
                "name": format!("{of}-snapshot-{index:06}"), "resource_type": of,
                "resource_id": parent.unwrap_or_default(), "regions": [region],
                "size_gigabytes": f64::from(u32::try_from(index % 400).unwrap_or(0)) / 8.0 + 0.25,
                "tags": if index % 4 == 3 { Value::Null } else { json!([]) },
            })
        }
        Kind::Backups => {
            let parent = nth_id(account, Kind::Droplets, index).and_then(|id| id.parse::<i64>().ok());
            json!({"name": format!("backup-{index:06}"), "regions": [region], "droplet_id": parent.unwrap_or(0)})
        }
        Kind::FloatingIps => {
            let droplet = nth_id(account, Kind::Droplets, index).and_then(|id| id.parse::<i64>().ok());
            json!({"region": region, "droplet": droplet.filter(|_| index.is_multiple_of(2))})
        }
        Kind::Firewalls | Kind::LoadBalancers => {
            let droplets = (0..3).filter_map(|offset| nth_id(account, Kind::Droplets, index * 3 + offset));
            let droplets: Vec<i64> = droplets.filter_map(|id| id.parse().ok()).collect();
            let name = if kind == Kind::Firewalls { "firewall" } else { "lb" };
            json!({"name": format!("{name}-{index:04}"), "droplet_ids": droplets})
        }
        Kind::Databases => json!({"name": format!("db-{index:04}"), "region": region}),
        Kind::KubernetesClusters => json!({"name": format!("cluster-{index:04}"), "region": region}),
        Kind::Domains => json!({"name": format!("zone-{index:04}.example.com")}),
        Kind::Projects => json!({"name": format!("project-{index:04}")}),
        Kind::Tags => json!({"name": format!("tag-{index:04}")}),
        Kind::Vpcs => json!({"name": format!("vpc-{index:04}"), "region": region}),
        Kind::Keys => json!({"name": format!("key-{index:04}")}),
        Kind::SpacesKeys => json!({"name": format!("spaces-key-{index:04}")}),
        Kind::Apps => json!({"spec": {"name": format!("app-{index:04}")}}),
        Kind::Actions | Kind::Invoices => json!({}),
    }
}

fn nth_id(account: &Account, kind: Kind, index: usize) -> Option<String> {
    let table = account.table(kind);
    if table.is_empty() {
        return None;
    }
    table.at(index % table.len()).map(|(id, _)| id.to_owned())
}

fn fill_zone(account: &mut Account, zone: &str, index: usize) {
    for (kind, name, data) in [
        ("A", "@", format!("203.0.113.{}", index % 250 + 1)),
        ("CNAME", "www", zone.to_owned()),
        ("TXT", "@", "v=spf1 -all".to_owned()),
    ] {
        let fields = record(account, kind, name, &data, 1800);
        add_record(account, zone, fields);
    }
}
