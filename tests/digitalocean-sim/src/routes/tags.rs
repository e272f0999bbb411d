//! Tags. Unlike elsewhere, a bad request answers with root causes.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::kind::Kind;
use crate::paging::page_of;
use crate::state::{Account, into_fields};
use crate::table::Row;

pub fn list(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let counts = count(account);
    let rows: Vec<Value> =
        account.table(Kind::Tags).iter().map(|(name, row)| wire(name, row, &counts)).collect();
    Ok(page_of(call, "tags", &rows))
}

pub fn create(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let name = call.text("name").unwrap_or_default();
    check(name).map_err(|()| Refusal::root_causes("name is invalid"))?;
    let name = ensure(account, name);
    answer(account, &name, 201)
}

/// Names keep the case they were first used with, and are looked up by exactly that.
pub fn get(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    answer(account, call.param(0), 200)
}

/// Untags everything and deletes nothing else.
pub fn delete(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let name = call.param(0).to_owned();
    account.table_mut(Kind::Tags).remove(&name).ok_or_else(Refusal::not_found)?;
    for kind in [Kind::Droplets, Kind::Volumes, Kind::Snapshots, Kind::Databases] {
        let tagged: Vec<String> = account
            .table(kind)
            .iter()
            .filter(|(_, row)| row.texts("tags").any(|tag| tag == name))
            .map(|(id, _)| id.to_owned())
            .collect();
        for id in tagged {
            untag(account, kind, &id, &name);
        }
    }
    Ok(Answer::no_content())
}

pub fn assign(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let name = known(account, call)?;
    for (kind, id) in targets(call)? {
        let found = account.table_mut(kind).edit(&id, |fields| {
            let tags = fields.entry("tags").or_insert_with(|| json!([]));
            if !tags.is_array() {
                *tags = json!([]);
            }
            if let Some(tags) = tags.as_array_mut()
                && !tags.iter().any(|tag| *tag == name)
            {
                tags.push(name.clone().into());
            }
        });
        if found.is_none() {
            // What is not there is tagged all the same, and counted.
            account.table_mut(Kind::Tags).edit(&name, |fields| {
                let phantoms = fields.entry("_phantoms").or_insert_with(|| json!([]));
                if let Some(phantoms) = phantoms.as_array_mut()
                    && !phantoms.iter().any(|phantom| *phantom == id)
                {
                    phantoms.push(id.into());
                }
            });
        }
    }
    Ok(Answer::no_content())
}

pub fn unassign(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let name = known(account, call)?;
    for (kind, id) in targets(call)? {
        untag(account, kind, &id, &name);
        account.table_mut(Kind::Tags).edit(&name, |fields| {
            if let Some(Value::Array(phantoms)) = fields.get_mut("_phantoms") {
                phantoms.retain(|phantom| *phantom != id);
            }
        });
    }
    Ok(Answer::no_content())
}

/// Whether a name may be a tag.
pub fn check(name: &str) -> Result<(), ()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':');
    if !name.is_empty() && name.len() <= 255 && name.chars().all(allowed) { Ok(()) } else { Err(()) }
}

/// Makes the tag if it is missing. Returns the spelling that was used first.
pub fn ensure(account: &mut Account, name: &str) -> String {
    let spelling = account
        .table(Kind::Tags)
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(id, _)| id.to_owned());
    spelling.unwrap_or_else(|| account.add(Kind::Tags, into_fields(json!({"name": name}))))
}

fn known(account: &Account, call: &Call<'_>) -> Result<String, Refusal> {
    let name = call.param(0);
    if account.table(Kind::Tags).contains(name) { Ok(name.to_owned()) } else { Err(Refusal::not_found()) }
}

fn targets(call: &Call<'_>) -> Result<Vec<(Kind, String)>, Refusal> {
    let list = call.body.get("resources").and_then(Value::as_array);
    let list = list.ok_or_else(|| Refusal::root_causes("resources is missing"))?;
    list.iter().map(target).collect()
}

/// Ids are texts here, whatever they are elsewhere.
fn target(resource: &Value) -> Result<(Kind, String), Refusal> {
    let id = resource.get("resource_id").and_then(Value::as_str);
    let id = id.ok_or_else(|| Refusal::root_causes("resource_id must be a string"))?;
    let kind = match resource.get("resource_type").and_then(Value::as_str) {
        Some("droplet") => Kind::Droplets,
        Some("image" | "volume_snapshot") => Kind::Snapshots,
        Some("volume") => Kind::Volumes,
        Some("database") => Kind::Databases,
        Some("load_balancer") => Kind::LoadBalancers,
        Some(_) | None => return Err(Refusal::root_causes("resource_type is invalid")),
    };
    Ok((kind, id.to_owned()))
}

fn untag(account: &mut Account, kind: Kind, id: &str, name: &str) {
    account.table_mut(kind).edit(id, |fields| {
        if let Some(Value::Array(tags)) = fields.get_mut("tags") {
            tags.retain(|tag| tag != name);
        }
    });
}

/// Tagged droplets, images, volumes, volume snapshots and databases by tag, in one pass.
type Counts = HashMap<String, [usize; 5]>;

fn count(account: &Account) -> Counts {
    let mut counts = Counts::new();
    let kinds = [(Kind::Droplets, 0), (Kind::Snapshots, 1), (Kind::Volumes, 2), (Kind::Databases, 4)];
    for (kind, column) in kinds {
        for (_, row) in account.table(kind).iter() {
            let of_volume = row.text("resource_type") == Some("volume");
            for tag in row.texts("tags") {
                counts.entry(tag.to_owned()).or_default()[if of_volume { 3 } else { column }] += 1;
            }
        }
    }
    counts
}

fn answer(account: &Account, name: &str, status: u16) -> Result<Answer, Refusal> {
    let row = account.table(Kind::Tags).get(name).ok_or_else(Refusal::not_found)?;
    Ok(Answer::json(status, &json!({"tag": wire(name, row, &count(account))})))
}

fn wire(name: &str, row: &Row, counts: &Counts) -> Value {
    let mut counted = counts.get(name).copied().unwrap_or_default();
    counted[0] += row.texts("_phantoms").count();
    let [droplets, images, volumes, volume_snapshots, databases] = counted;
    json!({"name": name, "resources": {
        "count": counted.iter().sum::<usize>(),
        "droplets": {"count": droplets}, "images": {"count": images}, "volumes": {"count": volumes},
        "volume_snapshots": {"count": volume_snapshots}, "databases": {"count": databases},
    }})
}
