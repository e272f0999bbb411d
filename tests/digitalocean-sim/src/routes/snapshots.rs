//! Snapshots of droplets and volumes.

use serde_json::Value;

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::kind::Kind;
use crate::paging::{page_of_table, page_where};
use crate::render;
use crate::state::{Account, is_listed};
use crate::table::Row;

pub fn list(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let Some(wanted) = call.query("resource_type") else {
        return Ok(page_of_table(account, call, "snapshots", Kind::Snapshots));
    };
    let keep = |row: &Row| is_listed(row) && row.text("resource_type") == Some(wanted);
    Ok(page_where(account, call, "snapshots", Kind::Snapshots, keep))
}

pub fn get(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let row = find(account, call.param(0))?;
    Ok(Answer::one("snapshot", render::row(Kind::Snapshots, row.fields())))
}

pub fn delete(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let id = call.param(0).to_owned();
    let row = find(account, &id)?;
    let parent = row.text("resource_id").unwrap_or_default().to_owned();
    account.remove(Kind::Snapshots, &id);
    // A volume's snapshot has no number, and no droplet lists it.
    let number = id.parse::<i64>().ok();
    account.table_mut(Kind::Droplets).edit(&parent, |droplet| {
        if let Some(Value::Array(ids)) = droplet.get_mut("snapshot_ids") {
            ids.retain(|snapshot| snapshot.as_i64() != number);
        }
    });
    Ok(Answer::no_content())
}

/// A snapshot that can be seen. A backup's id is refused in its own way.
fn find<'a>(account: &'a Account, id: &str) -> Result<&'a Row, Refusal> {
    match account.table(Kind::Snapshots).get(id) {
        Some(row) if is_listed(row) => Ok(row),
        Some(_) => Err(Refusal::not_found()),
        None if account.table(Kind::Backups).contains(id) => {
            Err(Refusal::bad_request("the resource is not a snapshot"))
        }
        None => Err(Refusal::not_found()),
    }
}
