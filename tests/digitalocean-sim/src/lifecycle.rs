//! What happens by itself after a call was accepted, and how long it takes.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::{Clock, stamp};
use crate::kind::Kind;
use crate::state::{Account, into_fields};
use crate::table::{Listing, Row};

/// From the 202 to `active` (seen live: 33 s).
pub const CREATE_S: f64 = 30.0;
/// From the 202 until the private network shows; before `active`.
pub const VPC_SHOWN_S: f64 = 10.0;
/// From the 204 until a look-up answers 404 (seen live: 12 s).
pub const DESTROY_S: f64 = 12.0;
/// A firewall names a destroyed droplet for this much longer.
pub const FIREWALL_FORGETS_S: f64 = 20.0;
/// A power action, a rename and the like.
pub const ACTION_S: f64 = 5.0;
/// A snapshot of a small droplet.
pub const SNAPSHOT_S: f64 = 20.0;
/// A resize.
pub const RESIZE_S: f64 = 30.0;
/// A droplet shows its new power state this much after the action completed.
pub const STATUS_LAG_S: f64 = 2.0;

/// Lags that a test may want to change.
#[derive(Debug, Clone, Copy)]
pub struct Lags {
    /// A new droplet answers 404 by id for this long.
    pub create_hidden_s: f64,
    /// A new droplet is missing from listings for this long.
    pub create_unlisted_s: f64,
    /// A snapshot is missing everywhere this long after its action completed.
    pub snapshot_s: f64,
}

/// What a completed action does to its droplet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The power state becomes this, a little later.
    Status(String),
    /// The size becomes this; the disk too when it was asked for.
    Resize {
        /// Slug of the new size.
        size: String,
        /// Whether the disk grows too, for good.
        disk: bool,
    },
    /// The name becomes this.
    Rename(String),
    /// A snapshot of this name exists.
    Snapshot(String),
    /// Backups are on, or off and the existing ones gone.
    Backups(bool),
    /// The disk is this image.
    Image(Value),
    /// A public IPv6 address exists.
    Ipv6,
    /// Nothing that shows.
    Nothing,
}

/// A change that is scheduled. Serialised, because a restart must not lose it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A new droplet is found by id.
    DropletFound(i64),
    /// A new droplet is in the listings.
    DropletListed(i64),
    /// A new droplet shows its private network.
    VpcShown(i64),
    /// A new droplet is up; its create action is complete.
    DropletActive {
        /// The droplet.
        droplet: i64,
        /// Its create action.
        action: i64,
    },
    /// A deleted droplet is gone.
    DropletGone {
        /// The droplet.
        droplet: i64,
        /// Its destroy action.
        action: i64,
    },
    /// Firewalls no longer name a droplet.
    FirewallForgets(i64),
    /// An action is complete.
    ActionDone {
        /// The droplet.
        droplet: i64,
        /// The action.
        action: i64,
        /// What it does.
        effect: Effect,
    },
    /// A droplet shows its new power state.
    StatusShown {
        /// The droplet.
        droplet: i64,
        /// The state.
        status: String,
    },
    /// A snapshot is found and listed.
    SnapshotListed(i64),
}

/// Lets everything happen that is due. Returns whether anything did.
pub fn settle(account: &mut Account, clock: &Clock, lags: &Lags) -> bool {
    let mut happened = false;
    while let Some((due, change)) = account.take_due(clock.now()) {
        happened = true;
        apply(account, clock, lags, due, change);
    }
    happened
}

fn apply(account: &mut Account, clock: &Clock, lags: &Lags, due: DateTime<Utc>, change: Change) {
    match change {
        Change::DropletFound(id) => {
            let droplets = account.table_mut(Kind::Droplets);
            droplets.edit(&id.to_string(), |droplet| droplet.remove("_hidden"));
        }
        Change::DropletListed(id) => list_droplet(account, id),
        Change::VpcShown(id) => show_vpc(account, id),
        Change::DropletActive { droplet, action } => {
            list_droplet(account, droplet);
            show_vpc(account, droplet);
            account.table_mut(Kind::Droplets).edit(&droplet.to_string(), |row| {
                row.insert("status".into(), "active".into());
                // From now on the addresses that follow from the id are shown.
                row.remove("networks");
                row.remove("_event");
                row.remove("_hidden");
            });
            finish(account, action, "completed", due);
        }
        Change::DropletGone { droplet, action } => {
            drop_droplet(account, droplet, false);
            account.schedule(due + clock.delay(FIREWALL_FORGETS_S), Change::FirewallForgets(droplet));
            finish(account, action, "completed", due);
        }
        Change::FirewallForgets(droplet) => unlink(account, Kind::Firewalls, droplet),
        Change::ActionDone { droplet, action, effect } => {
            let id = droplet.to_string();
            let known = account.table_mut(Kind::Droplets).edit(&id, |row| {
                row.remove("_event");
                row.insert("locked".into(), false.into());
            });
            if known.is_none() {
                finish(account, action, "errored", due);
                return;
            }
            finish(account, action, "completed", due);
            take_effect(account, clock, lags, droplet, effect, due);
        }
        Change::StatusShown { droplet, status } => {
            account.table_mut(Kind::Droplets).set(&droplet.to_string(), "status", status);
        }
        Change::SnapshotListed(snapshot) => {
            let id = snapshot.to_string();
            account.table_mut(Kind::Snapshots).list_as(&id, Listing::Listed);
            let parent = account
                .table(Kind::Snapshots)
                .get(&id)
                .and_then(|row| row.text("resource_id").map(str::to_owned));
            if let Some(parent) = parent {
                push_id(account, &parent, "snapshot_ids", snapshot);
            }
        }
    }
}

fn take_effect(
    account: &mut Account,
    clock: &Clock,
    lags: &Lags,
    droplet: i64,
    effect: Effect,
    due: DateTime<Utc>,
) {
    let id = droplet.to_string();
    match effect {
        Effect::Status(status) => {
            account.schedule(due + clock.delay(STATUS_LAG_S), Change::StatusShown { droplet, status });
        }
        Effect::Resize { size, disk } => {
            let old_disk = account.table(Kind::Droplets).get(&id).map(crate::render::disk_gb);
            account.table_mut(Kind::Droplets).edit(&id, |row| {
                row.insert("size_slug".into(), size.into());
                match old_disk {
                    Some(old) if !disk => drop(row.insert("disk".into(), old.into())),
                    Some(_) | None => drop(row.remove("disk")),
                }
            });
        }
        Effect::Rename(name) => account.table_mut(Kind::Droplets).set(&id, "name", name),
        Effect::Image(image) => account.table_mut(Kind::Droplets).set(&id, "image", image),
        Effect::Backups(on) => set_backups(account, droplet, on, due),
        Effect::Snapshot(name) => {
            let snapshot = snapshot_droplet(account, droplet, &name, due);
            account.schedule(due + clock.delay(lags.snapshot_s), Change::SnapshotListed(snapshot));
        }
        Effect::Ipv6 => add_feature(account, &id, "ipv6"),
        Effect::Nothing => {}
    }
}

fn finish(account: &mut Account, action: i64, status: &str, at: DateTime<Utc>) {
    account.table_mut(Kind::Actions).edit(&action.to_string(), |row| {
        row.insert("status".into(), status.into());
        row.insert("completed_at".into(), stamp(at).into());
    });
}

fn list_droplet(account: &mut Account, id: i64) {
    let id = id.to_string();
    let gpu = account.table(Kind::Droplets).get(&id).is_some_and(crate::render::has_gpu);
    account.table_mut(Kind::Droplets).list_as(&id, if gpu { Listing::Gpu } else { Listing::Listed });
}

fn show_vpc(account: &mut Account, id: i64) {
    account.table_mut(Kind::Droplets).edit(&id.to_string(), |row| {
        if let Some(vpc) = row.remove("_vpc_uuid") {
            row.insert("vpc_uuid".into(), vpc);
        }
    });
}

/// A snapshot whose `created_at` is its action's start, as clients find it by that.
fn snapshot_droplet(account: &mut Account, droplet: i64, name: &str, at: DateTime<Utc>) -> i64 {
    let snapshot = account.ids.image();
    let id = droplet.to_string();
    let row = account.table(Kind::Droplets).get(&id);
    let region = row.and_then(|row| row.text("region")).unwrap_or("syd1").to_owned();
    let disk = row.map_or(25, crate::render::disk_gb);
    let started = account
        .table(Kind::Actions)
        .iter()
        .rev()
        .find(|(_, action)| {
            action.int("resource_id") == Some(droplet) && action.text("type") == Some("snapshot")
        })
        .and_then(|(_, action)| action.text("started_at").map(str::to_owned));
    let fields = json!({
        "id": snapshot.to_string(), "name": name, "created_at": started.unwrap_or_else(|| stamp(at)),
        "regions": [region], "resource_id": id, "resource_type": "droplet", "min_disk_size": disk,
        "size_gigabytes": 2.34, "tags": [],
    });
    account.add_row(Kind::Snapshots, Row::new(into_fields(fields)).with_listing(Listing::Late));
    snapshot
}

fn set_backups(account: &mut Account, droplet: i64, on: bool, at: DateTime<Utc>) {
    let id = droplet.to_string();
    if on {
        add_feature(account, &id, "backups");
        let window = json!({"start": stamp(at), "end": stamp(at + chrono::TimeDelta::hours(23))});
        account.table_mut(Kind::Droplets).set(&id, "next_backup_window", window);
        return;
    }
    remove_backups(account, &id);
    account.table_mut(Kind::Droplets).edit(&id, |row| {
        row.insert("backup_ids".into(), json!([]));
        row.insert("next_backup_window".into(), Value::Null);
        if let Some(Value::Array(features)) = row.get_mut("features") {
            features.retain(|feature| feature != "backups");
        }
    });
}

fn add_feature(account: &mut Account, droplet: &str, feature: &str) {
    account.table_mut(Kind::Droplets).edit(droplet, |row| {
        let features = row.entry("features").or_insert_with(|| json!([]));
        if let Some(features) = features.as_array_mut()
            && !features.iter().any(|known| known == feature)
        {
            features.push(feature.into());
        }
    });
}

fn remove_backups(account: &mut Account, droplet: &str) {
    let backups: Vec<i64> = account
        .table(Kind::Droplets)
        .get(droplet)
        .into_iter()
        .flat_map(|row| row.ints("backup_ids"))
        .collect();
    for backup in backups {
        account.remove(Kind::Backups, &backup.to_string());
    }
}

/// Removes a droplet with its backups and frees what was attached to it. Firewalls forget it at once
/// only when `firewalls` says so. Snapshots, volumes and addresses survive, and bill.
pub fn drop_droplet(account: &mut Account, droplet: i64, firewalls: bool) {
    let id = droplet.to_string();
    remove_backups(account, &id);
    account.remove(Kind::Droplets, &id);
    unlink(account, Kind::Volumes, droplet);
    unlink(account, Kind::LoadBalancers, droplet);
    if firewalls {
        unlink(account, Kind::Firewalls, droplet);
    }
    let addresses: Vec<String> = account
        .table(Kind::FloatingIps)
        .iter()
        .filter(|(_, row)| row.int("droplet") == Some(droplet))
        .map(|(ip, _)| ip.to_owned())
        .collect();
    for ip in addresses {
        account.table_mut(Kind::FloatingIps).set(&ip, "droplet", Value::Null);
    }
}

/// Takes a droplet out of the `droplet_ids` of every row of a kind.
fn unlink(account: &mut Account, kind: Kind, droplet: i64) {
    let linked: Vec<String> = account
        .table(kind)
        .iter()
        .filter(|(_, row)| row.ints("droplet_ids").any(|id| id == droplet))
        .map(|(id, _)| id.to_owned())
        .collect();
    for id in linked {
        account.table_mut(kind).edit(&id, |row| {
            if let Some(Value::Array(ids)) = row.get_mut("droplet_ids") {
                ids.retain(|id| id.as_i64() != Some(droplet));
            }
        });
    }
}

/// Adds an id to a list of a droplet, if the droplet is still there.
pub fn push_id(account: &mut Account, droplet: &str, list: &str, id: impl Into<Value>) {
    let id = id.into();
    account.table_mut(Kind::Droplets).edit(droplet, |row| {
        let ids = row.entry(list).or_insert_with(|| json!([]));
        if let Some(ids) = ids.as_array_mut()
            && !ids.contains(&id)
        {
            ids.push(id);
        }
    });
}
