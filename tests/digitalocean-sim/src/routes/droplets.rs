//! Droplets: listing, creation, destruction, and what hangs on one.

use serde_json::{Value, json};

use super::images;
use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::clock::stamp;
use crate::kind::Kind;
use crate::lifecycle::{CREATE_S, Change, DESTROY_S, VPC_SHOWN_S, push_id};
use crate::paging::{page_of, page_of_table, page_where};
use crate::reference;
use crate::render;
use crate::state::{Account, into_fields, is_listed};
use crate::table::{Fields, Listing, Row};

/// Names in one create call at most.
const NAMES_MAX: usize = 10;
/// Bytes of user data at most.
const USER_DATA_MAX: usize = 64 * 1024;

const PENDING_EVENT: &str = "Droplet already has a pending event.";

pub fn list(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let tag = call.query("tag_name");
    let name = call.query("name");
    let kind = call.query("type");
    if tag.is_some() && (name.is_some() || kind.is_some()) {
        return Err(Refusal::unprocessable("tag_name cannot be combined with name or type"));
    }
    let wanted = if kind == Some("gpus") { Listing::Gpu } else { Listing::Listed };
    if tag.is_none() && name.is_none() && wanted == Listing::Listed {
        return Ok(page_of_table(account, call, "droplets", Kind::Droplets));
    }
    let keep = |row: &Row| {
        row.listing() == wanted
            && tag.is_none_or(|tag| row.texts("tags").any(|known| known == tag))
            && name.is_none_or(|name| row.text("name").is_some_and(|known| known.eq_ignore_ascii_case(name)))
    };
    Ok(page_where(account, call, "droplets", Kind::Droplets, keep))
}

pub fn get(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let row = find(account, call.param(0))?;
    Ok(Answer::one("droplet", render::row(Kind::Droplets, row.fields())))
}

/// A droplet that a look-up by id shows.
pub fn find<'a>(account: &'a Account, id: &str) -> Result<&'a Row, Refusal> {
    let row = account.table(Kind::Droplets).get(id).ok_or_else(Refusal::not_found)?;
    if row.fields().contains_key("_hidden") {
        return Err(Refusal::not_found());
    }
    Ok(row)
}

/// A droplet that can take an event: it is there and has none running.
pub fn find_idle<'a>(account: &'a Account, id: &str) -> Result<&'a Row, Refusal> {
    let row = find(account, id)?;
    if row.fields().contains_key("_event") {
        return Err(Refusal::unprocessable(PENDING_EVENT));
    }
    Ok(row)
}

pub fn create(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let (names, several) = names(call)?;
    let order = order(account, call)?;
    let limit = account.profile.get("droplet_limit").and_then(Value::as_u64).unwrap_or(u64::MAX);
    let wanted = account.table(Kind::Droplets).len() + names.len();
    if u64::try_from(wanted).is_ok_and(|wanted| wanted > limit) {
        let message =
            "creating this/these droplet(s) will exceed your droplet limit. Contact support to raise it.";
        return Err(Refusal::unprocessable(message));
    }
    for volume in call.texts("volumes") {
        let row = account.table(Kind::Volumes).get(&volume).ok_or_else(Refusal::not_found)?;
        if row.ints("droplet_ids").next().is_some() {
            return Err(Refusal::unprocessable("volume is already attached to a Droplet"));
        }
    }

    let mut droplets = Vec::new();
    let mut links = Vec::new();
    for name in names {
        let (droplet, action) = start(account, call, &order, &name);
        let row = account.table(Kind::Droplets).get(&droplet.to_string());
        droplets.push(row.map(|row| render::row(Kind::Droplets, row.fields())));
        // Relative, as on the live service; the published schema shows an absolute address.
        links.push(json!({"id": action, "rel": "create", "href": format!("/v2/actions/{action}")}));
    }
    let links = json!({"actions": links});
    let body = if several {
        json!({"droplets": droplets, "links": links})
    } else {
        json!({"droplet": droplets.remove(0), "links": links})
    };
    Ok(Answer::json(202, &body))
}

fn names(call: &Call<'_>) -> Result<(Vec<String>, bool), Refusal> {
    let several = call.body.get("names").is_some();
    if several == call.body.get("name").is_some() {
        return Err(Refusal::unprocessable("exactly one of name and names is required"));
    }
    let names = if several { call.texts("names") } else { vec![call.need_text("name")?.to_owned()] };
    if names.is_empty() || names.len() > NAMES_MAX {
        return Err(Refusal::unprocessable("names must hold between 1 and 10 names"));
    }
    for name in &names {
        check_name(name)?;
    }
    Ok((names, several))
}

/// Host names: letters, digits, dots and dashes, no dash or dot at the ends.
pub fn check_name(name: &str) -> Result<(), Refusal> {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if name.len() <= 255 && name.chars().all(inner) && edge(name.chars().last()) && edge(name.chars().next())
    {
        return Ok(());
    }
    let message = "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)";
    Err(Refusal::unprocessable(message))
}

/// What every droplet of one create call has in common.
fn order(account: &mut Account, call: &Call<'_>) -> Result<Fields, Refusal> {
    let invalid =
        |what| Refusal::unprocessable(format!("You specified an invalid {what} for Droplet creation."));
    let size = call.need_text("size")?;
    reference::size(size).ok_or_else(|| invalid("size"))?;
    let image = find_image(account, &call.body["image"]).ok_or_else(|| invalid("image"))?;
    let region = match call.text("region") {
        Some(prefix) => reference::find_region(prefix).ok_or_else(|| invalid("region"))?,
        None => "syd1",
    };
    if image["regions"].as_array().is_some_and(|regions| !regions.iter().any(|known| known == region)) {
        return Err(Refusal::unprocessable(
            "The image you specified is not available in the selected region",
        ));
    }
    let disk = reference::size(size).and_then(|size| size["disk"].as_i64());
    if image["min_disk_size"].as_i64() > disk {
        return Err(Refusal::unprocessable("This size is not available because it has a smaller disk."));
    }
    if call.text("user_data").is_some_and(|data| data.len() > USER_DATA_MAX) {
        return Err(Refusal::unprocessable("User data must not exceed 64 KiB"));
    }
    let mut tags = Vec::new();
    for tag in call.texts("tags") {
        super::tags::check(&tag).map_err(|()| Refusal::unprocessable(format!("tag {tag} is invalid")))?;
        tags.push(super::tags::ensure(account, &tag));
    }
    let mut features = vec!["droplet_agent"];
    for (asked, feature) in [("backups", "backups"), ("ipv6", "ipv6"), ("monitoring", "monitoring")] {
        if call.flag(asked) {
            features.push(feature);
        }
    }
    let vpc = call.text("vpc_uuid").map(str::to_owned);
    let vpc = vpc.or_else(|| account.table(Kind::Vpcs).at(0).map(|(id, _)| id.to_owned()));
    let mut fields = json!({
        "size_slug": size, "image": image, "region": region, "tags": tags, "features": features,
        "volume_ids": call.texts("volumes"), "status": "new", "locked": false,
        "networks": {"v4": [], "v6": []}, "created_at": stamp(call.now), "_vpc_uuid": vpc,
    });
    if call.body.get("public_networking") == Some(&Value::Bool(false)) {
        fields["_private_only"] = json!(true);
    }
    if call.lags.create_hidden_s > 0.0 {
        fields["_hidden"] = json!(true);
    }
    Ok(into_fields(fields))
}

/// The image a slug or an integer names.
pub fn find_image(account: &Account, wanted: &Value) -> Option<Value> {
    if let Some(slug) = wanted.as_str() {
        return reference::image(slug).cloned();
    }
    let id = wanted.as_i64()?;
    reference::image_by_id(id).cloned().or_else(|| images::find_private(account, id))
}

fn start(account: &mut Account, call: &Call<'_>, order: &Fields, name: &str) -> (i64, i64) {
    let droplet = account.ids.droplet();
    let action = begin_action(account, call, droplet, "create", order["region"].clone());
    let mut fields = order.clone();
    fields.insert("id".into(), droplet.into());
    fields.insert("name".into(), name.into());
    fields.insert("_event".into(), action.into());
    let id = account.add_row(Kind::Droplets, Row::new(fields).with_listing(Listing::Late));
    account.join_default_project(Kind::Droplets, &id, call.now);
    for volume in call.texts("volumes") {
        account.table_mut(Kind::Volumes).set(&volume, "droplet_ids", json!([droplet]));
        push_id(account, &id, "volume_ids", volume);
    }
    if call.lags.create_unlisted_s <= 0.0 {
        let gpu = account.table(Kind::Droplets).get(&id).is_some_and(render::has_gpu);
        account.table_mut(Kind::Droplets).list_as(&id, if gpu { Listing::Gpu } else { Listing::Listed });
    } else {
        account.schedule(call.due(call.lags.create_unlisted_s), Change::DropletListed(droplet));
    }
    if call.lags.create_hidden_s > 0.0 {
        account.schedule(call.due(call.lags.create_hidden_s), Change::DropletFound(droplet));
    }
    account.schedule(call.due(VPC_SHOWN_S), Change::VpcShown(droplet));
    account.schedule(call.due(CREATE_S), Change::DropletActive { droplet, action });
    (droplet, action)
}

/// Records an action that has begun.
pub fn begin_action(account: &mut Account, call: &Call<'_>, droplet: i64, kind: &str, region: Value) -> i64 {
    let id = account.ids.action();
    let fields = json!({
        "id": id, "status": "in-progress", "type": kind, "started_at": stamp(call.now),
        "completed_at": null, "resource_id": droplet, "resource_type": "droplet",
        "region": region, "region_slug": region,
    });
    account.add(Kind::Actions, into_fields(fields));
    id
}

pub fn destroy(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let row = find_idle(account, call.param(0))?;
    let (id, region) = (row.int("id").unwrap_or_default(), row.fields()["region"].clone());
    begin_destruction(account, call, id, region);
    Ok(Answer::no_content())
}

/// Destroys every droplet with the tag. An empty tag must never be sent, and is refused.
pub fn destroy_by_tag(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let tag = call.query("tag_name").ok_or_else(|| Refusal::unprocessable("tag_name is required"))?;
    let matching: Vec<(i64, Value)> = account
        .table(Kind::Droplets)
        .iter()
        .filter(|(_, row)| is_listed(row) && row.texts("tags").any(|known| known == tag))
        .filter(|(_, row)| !row.fields().contains_key("_event"))
        .map(|(_, row)| (row.int("id").unwrap_or_default(), row.fields()["region"].clone()))
        .collect();
    for (id, region) in matching {
        begin_destruction(account, call, id, region);
    }
    Ok(Answer::no_content())
}

/// For some seconds a deleted droplet is still found, active and without its tags.
fn begin_destruction(account: &mut Account, call: &Call<'_>, droplet: i64, region: Value) {
    let action = begin_action(account, call, droplet, "destroy", region);
    account.table_mut(Kind::Droplets).edit(&droplet.to_string(), |row| {
        row.insert("tags".into(), json!([]));
        row.insert("_event".into(), action.into());
    });
    account.schedule(call.due(DESTROY_S), Change::DropletGone { droplet, action });
}

pub fn backups(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let droplet = find(account, call.param(0))?;
    let rows: Vec<Value> = droplet
        .ints("backup_ids")
        .filter_map(|id| account.table(Kind::Backups).get(&id.to_string()))
        .map(|row| image_of(row, "backup"))
        .collect();
    Ok(page_of(call, "backups", &rows))
}

pub fn snapshots(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let droplet = find(account, call.param(0))?;
    let rows: Vec<Value> = droplet
        .ints("snapshot_ids")
        .filter_map(|id| account.table(Kind::Snapshots).get(&id.to_string()))
        .filter(|row| is_listed(row))
        .map(|row| image_of(row, "snapshot"))
        .collect();
    Ok(page_of(call, "snapshots", &rows))
}

/// A snapshot or backup as its droplet lists it: the id is a number, and nothing names the droplet.
fn image_of(row: &Row, kind: &str) -> Value {
    let field = |name: &str| row.fields().get(name).cloned().unwrap_or_default();
    let id = row.int("id").or_else(|| row.text("id").and_then(|text| text.parse().ok()));
    json!({
        "id": id, "name": field("name"), "created_at": field("created_at"), "regions": field("regions"),
        "min_disk_size": field("min_disk_size"), "size_gigabytes": field("size_gigabytes"),
        "type": kind, "distribution": "Ubuntu", "slug": null, "public": false,
    })
}
