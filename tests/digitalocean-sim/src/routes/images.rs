//! Images: the base ones, and an account's snapshots and backups, which are images underneath.

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::kind::Kind;
use crate::paging::page_of;
use crate::reference;
use crate::state::{Account, is_listed};
use crate::table::Row;

pub fn list(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let private = call.query("private") == Some("true");
    let tag = call.query("tag_name");
    let mut rows = Vec::new();
    if !private && tag.is_none() && call.query("type") != Some("application") {
        rows.extend(reference::images());
    }
    if call.query("type").is_none() {
        rows.extend(private_images(account).filter(|image| {
            tag.is_none_or(|tag| image["tags"].as_array().is_some_and(|tags| tags.iter().any(|t| t == tag)))
        }));
    }
    Ok(page_of(call, "images", &rows))
}

fn private_images(account: &Account) -> impl Iterator<Item = Value> {
    let snapshots = account
        .table(Kind::Snapshots)
        .iter()
        .filter(|(_, row)| is_listed(row) && row.text("resource_type") == Some("droplet"))
        .map(|(_, row)| of_row(row, "snapshot"));
    let backups = account.table(Kind::Backups).iter().map(|(_, row)| of_row(row, "backup"));
    snapshots.chain(backups)
}

/// The private image of that id, if the account has it.
pub fn find_private(account: &Account, id: i64) -> Option<Value> {
    let id = id.to_string();
    let snapshot = account.table(Kind::Snapshots).get(&id).filter(|row| is_listed(row));
    snapshot
        .map(|row| of_row(row, "snapshot"))
        .or_else(|| account.table(Kind::Backups).get(&id).map(|row| of_row(row, "backup")))
}

fn of_row(row: &Row, kind: &str) -> Value {
    let field = |name: &str| row.fields().get(name).cloned().unwrap_or_default();
    let id = field("id");
    let number = id.as_i64().or_else(|| id.as_str().and_then(|text| text.parse().ok()));
    json!({
        "id": number, "name": field("name"), "type": kind, "distribution": "Ubuntu", "slug": null,
        "public": false, "regions": field("regions"), "created_at": field("created_at"),
        "min_disk_size": field("min_disk_size"), "size_gigabytes": field("size_gigabytes"),
        "description": "", "tags": row.texts("tags").collect::<Vec<_>>(), "status": "available",
        "error_message": "",
    })
}
