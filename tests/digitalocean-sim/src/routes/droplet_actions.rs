//! What can be done to a droplet: each action is accepted, runs for a while, and then takes effect.

use serde_json::{Value, json};

use super::droplets::{begin_action, check_name, find, find_idle, find_image};
use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::kind::Kind;
use crate::lifecycle::{ACTION_S, Change, Effect, RESIZE_S, SNAPSHOT_S};
use crate::paging::page_of;
use crate::reference;
use crate::render;
use crate::state::Account;
use crate::table::Row;

pub fn list(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let droplet = find(account, call.param(0))?.int("id");
    let rows: Vec<Value> = account
        .table(Kind::Actions)
        .iter()
        .rev()
        .filter(|(_, row)| row.int("resource_id") == droplet)
        .map(|(_, row)| render::row(Kind::Actions, row.fields()))
        .collect();
    Ok(page_of(call, "actions", &rows))
}

pub fn get(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let row = account.table(Kind::Actions).get(call.param(1)).ok_or_else(Refusal::not_found)?;
    if row.int("resource_id").map(|id| id.to_string()).as_deref() != Some(call.param(0)) {
        return Err(Refusal::not_found());
    }
    Ok(Answer::one("action", render::row(Kind::Actions, row.fields())))
}

pub fn post(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let row = find_idle(account, call.param(0))?;
    let droplet = row.int("id").unwrap_or_default();
    let region = row.fields().get("region").cloned().unwrap_or_default();
    let kind = call.need_text("type")?.to_owned();
    let (effect, seconds) = decide(account, row, call, &kind)?;
    let action = begin_action(account, call, droplet, &kind, region);
    account.table_mut(Kind::Droplets).edit(&droplet.to_string(), |row| {
        row.insert("_event".into(), action.into());
        row.insert("locked".into(), true.into());
    });
    account.schedule(call.due(seconds), Change::ActionDone { droplet, action, effect });
    let row = account.table(Kind::Actions).get(&action.to_string());
    let action = row.map(|row| render::row(Kind::Actions, row.fields()));
    Ok(Answer::json(201, &json!({"action": action})))
}

/// What an action will do and how long that takes, or why it cannot be done now.
fn decide(account: &Account, row: &Row, call: &Call<'_>, kind: &str) -> Result<(Effect, f64), Refusal> {
    let off = row.text("status") == Some("off");
    match kind {
        "power_off" | "shutdown" if off => Err(Refusal::unprocessable("Droplet is already powered off")),
        "power_off" | "shutdown" => Ok((Effect::Status("off".into()), ACTION_S)),
        "power_on" if !off => Err(Refusal::unprocessable("Droplet is already powered on")),
        "power_on" | "power_cycle" => Ok((Effect::Status("active".into()), ACTION_S)),
        "reboot" if off => {
            Err(Refusal::unprocessable("Droplet is currently off. Please power it on to run this event."))
        }
        "reboot" | "password_reset" | "change_backup_policy" | "change_kernel" => {
            Ok((Effect::Nothing, ACTION_S))
        }
        "enable_ipv6" => Ok((Effect::Ipv6, ACTION_S)),
        "rename" => {
            let name = call.need_text("name")?;
            check_name(name)?;
            Ok((Effect::Rename(name.to_owned()), ACTION_S))
        }
        "snapshot" => {
            let unnamed =
                || format!("{}-{}", row.text("name").unwrap_or_default(), call.now.timestamp_millis());
            Ok((Effect::Snapshot(call.text("name").map_or_else(unnamed, str::to_owned)), SNAPSHOT_S))
        }
        "resize" => resize(row, call, off),
        "rebuild" | "restore" => {
            let image = find_image(account, &call.body["image"]);
            let image = image.ok_or_else(|| Refusal::unprocessable("You specified an invalid image."))?;
            Ok((Effect::Image(image), RESIZE_S))
        }
        "enable_backups" if has_backups(row) => Err(Refusal::unprocessable("Backups are already enabled")),
        "enable_backups" => Ok((Effect::Backups(true), ACTION_S)),
        "disable_backups" if !has_backups(row) => Err(Refusal::unprocessable("Backups are not enabled")),
        "disable_backups" => Ok((Effect::Backups(false), ACTION_S)),
        unknown => Err(Refusal::unprocessable(format!("{unknown} is not a valid action type"))),
    }
}

fn has_backups(row: &Row) -> bool {
    row.texts("features").any(|feature| feature == "backups")
}

/// A droplet must be off, and its disk never shrinks.
fn resize(row: &Row, call: &Call<'_>, off: bool) -> Result<(Effect, f64), Refusal> {
    if !off {
        let message = "Droplet is currently on. Please power it off to run this event.";
        return Err(Refusal::unprocessable(message));
    }
    let slug = call.need_text("size")?;
    let size =
        reference::size(slug).ok_or_else(|| Refusal::unprocessable("You specified an invalid size."))?;
    if row.text("size_slug") == Some(slug) {
        return Err(Refusal::unprocessable("Droplet is already this size"));
    }
    if size["disk"].as_i64().is_some_and(|disk| disk < render::disk_gb(row)) {
        return Err(Refusal::unprocessable("This size is not available because it has a smaller disk."));
    }
    Ok((Effect::Resize { size: slug.to_owned(), disk: call.flag("disk") }, RESIZE_S))
}
