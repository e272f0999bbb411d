//! Control of single rows: they come, change and go at once, without the provider's delays.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::{Answer, Refused, each, parse};
use crate::build::{self, Home};
use crate::clock::stamp;
use crate::kind::Kind;
use crate::lifecycle::drop_droplet;
use crate::rejected::Rejected;
use crate::render;
use crate::server::Shared;
use crate::table::{Fields, Listing, Row};

/// Adds one row or a list of them. On a bad row the ones before it stay.
pub async fn add(State(shared): State<Shared>, Path(kind): Path<String>, body: Bytes) -> Answer {
    let kind = parse_kind(&kind)?;
    let body = parse(&body)?;
    let mut world = shared.world();
    world.settle();
    world.changed = true;
    let now = world.clock.now();
    let mut ids = Vec::new();
    for (index, row) in each(&body).into_iter().enumerate() {
        let added = build::add(&mut world.account, kind, row, Home::Default, now);
        ids.push(added.map_err(|error| error.within(&format!("{}[{index}]", kind.name())))?);
    }
    Ok(Json(json!({"ids": ids})))
}

pub async fn add_invoice(State(shared): State<Shared>, body: Bytes) -> Answer {
    let body = parse(&body)?;
    let mut world = shared.world();
    let now = world.clock.now();
    let uuid = build::add(&mut world.account, Kind::Invoices, &body, Home::Default, now)?;
    world.changed = true;
    Ok(Json(json!({"invoice_uuid": uuid})))
}

/// Merges fields into a row; null is a value like any other.
pub async fn merge(
    State(shared): State<Shared>,
    Path((kind, id)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let kind = parse_kind(&kind)?;
    let changes = object(parse(&body)?)?;
    if changes.contains_key(kind.id_field()) {
        return Err(Rejected::new(kind.id_field(), "cannot be changed").into());
    }
    let mut world = shared.world();
    world.settle();
    let table = world.account.table_mut(kind);
    let row = table.edit(&id, |fields| {
        fields.extend(changes);
        fields.clone()
    });
    let row = row.ok_or(Refused::Missing("row"))?;
    if kind == Kind::Droplets {
        let listing = if render::has_gpu(&Row::new(row.clone())) { Listing::Gpu } else { Listing::Listed };
        table.list_as(&id, listing);
    }
    world.changed = true;
    Ok(Json(Value::Object(row)))
}

pub async fn remove(State(shared): State<Shared>, Path((kind, id)): Path<(String, String)>) -> Answer {
    let kind = parse_kind(&kind)?;
    let mut world = shared.world();
    world.settle();
    let row = world.account.table(kind).get(&id).map(Row::to_state).ok_or(Refused::Missing("row"))?;
    if let (Kind::Droplets, Some(number)) = (kind, row["id"].as_i64()) {
        drop_droplet(&mut world.account, number, true);
    } else {
        world.account.remove(kind, &id);
    }
    world.changed = true;
    Ok(Json(row))
}

/// Moves resources into a project, whatever the API would say to it.
pub async fn assign(State(shared): State<Shared>, Path(project): Path<String>, body: Bytes) -> Answer {
    let body = parse(&body)?;
    let urns = body.get("resources").and_then(Value::as_array);
    let urns = urns.ok_or_else(|| Rejected::new("resources", "must be a list"))?;
    let mut world = shared.world();
    let now = stamp(world.clock.now());
    let account = &mut world.account;
    let id = account.find_project(&project).ok_or(Refused::Missing("project"))?;
    for (index, urn) in urns.iter().enumerate() {
        let urn = urn.as_str().filter(|urn| account.has_urn(urn));
        let urn = urn.ok_or_else(|| Rejected::new(format!("resources[{index}]"), "no such resource"))?;
        account.membership.assign(&id, urn, now.clone());
    }
    world.changed = true;
    Ok(Json(json!({"project": id})))
}

/// Adds buckets: a name, or `{"name", "project"}`, or a list of either.
pub async fn add_spaces(State(shared): State<Shared>, body: Bytes) -> Answer {
    let body = parse(&body)?;
    let mut world = shared.world();
    let now = stamp(world.clock.now());
    let mut names = Vec::new();
    for space in each(&body) {
        let name = space.as_str().or_else(|| space["name"].as_str());
        let name = name.ok_or_else(|| Rejected::new("name", "must be a text"))?;
        let wanted = space.get("project").and_then(Value::as_str);
        let project = match wanted {
            None => world.account.default_project(),
            Some(wanted) => {
                let found = world.account.find_project(wanted);
                Some(found.ok_or_else(|| Rejected::new("project", "no such project"))?)
            }
        };
        if !world.account.spaces.iter().any(|known| known == name) {
            world.account.spaces.push(name.to_owned());
        }
        if let Some(project) = project {
            world.account.membership.assign(&project, &format!("do:space:{name}"), now.clone());
        }
        names.push(name.to_owned());
    }
    world.changed = true;
    Ok(Json(json!({"names": names})))
}

pub async fn remove_space(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let mut world = shared.world();
    let before = world.account.spaces.len();
    world.account.spaces.retain(|space| *space != name);
    if world.account.spaces.len() == before {
        return Err(Refused::Missing("bucket"));
    }
    world.account.membership.forget(&format!("do:space:{name}"));
    world.changed = true;
    Ok(Json(json!({"name": name})))
}

pub async fn add_records(State(shared): State<Shared>, Path(zone): Path<String>, body: Bytes) -> Answer {
    let body = parse(&body)?;
    let rows: Value = each(&body).into_iter().cloned().collect();
    let mut world = shared.world();
    if !world.account.records.contains_key(&zone) {
        return Err(Refused::Missing("zone"));
    }
    world.changed = true;
    let ids = build::zone_records(&mut world.account, &zone, &rows, true)?;
    Ok(Json(json!({"ids": ids})))
}

pub async fn patch_record(
    State(shared): State<Shared>,
    Path((zone, id)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let changes = object(parse(&body)?)?;
    let mut world = shared.world();
    let records = world.account.records.get_mut(&zone).ok_or(Refused::Missing("zone"))?;
    let row = records.edit(&id, |fields| {
        fields.extend(changes);
        fields.clone()
    });
    let row = row.ok_or(Refused::Missing("record"))?;
    world.changed = true;
    Ok(Json(Value::Object(row)))
}

pub async fn remove_record(State(shared): State<Shared>, Path((zone, id)): Path<(String, String)>) -> Answer {
    let mut world = shared.world();
    let records = world.account.records.get_mut(&zone).ok_or(Refused::Missing("zone"))?;
    let row = records.remove(&id).ok_or(Refused::Missing("record"))?;
    world.changed = true;
    Ok(Json(row.to_state()))
}

fn parse_kind(name: &str) -> Result<Kind, Refused> {
    Kind::parse(name).ok_or(Refused::Missing("kind"))
}

fn object(body: Value) -> Result<Fields, Rejected> {
    match body {
        Value::Object(fields) => Ok(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Rejected::new("body", "must be an object"))
        }
    }
}
