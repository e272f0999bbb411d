//! Block storage.

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::kind::Kind;
use crate::paging::{page_of_table, page_where};
use crate::render;
use crate::state::{Account, is_listed};
use crate::table::Row;

pub fn list(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let (name, region) = (call.query("name"), call.query("region"));
    if name.is_none() && region.is_none() {
        return Ok(page_of_table(account, call, "volumes", Kind::Volumes));
    }
    let keep = |row: &Row| {
        is_listed(row)
            && name.is_none_or(|name| row.text("name") == Some(name))
            && region.is_none_or(|region| row.text("region") == Some(region))
    };
    Ok(page_where(account, call, "volumes", Kind::Volumes, keep))
}

pub fn get(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let row = account.table(Kind::Volumes).get(call.param(0)).ok_or_else(Refusal::not_found)?;
    Ok(Answer::one("volume", render::row(Kind::Volumes, row.fields())))
}

pub fn delete(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let row = account.table(Kind::Volumes).get(call.param(0)).ok_or_else(Refusal::not_found)?;
    if row.ints("droplet_ids").next().is_some() {
        return Err(Refusal::conflict("attached volume cannot be deleted"));
    }
    account.remove(Kind::Volumes, call.param(0));
    Ok(Answer::no_content())
}

pub fn snapshots(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let volume = call.param(0);
    if !account.table(Kind::Volumes).contains(volume) {
        return Err(Refusal::not_found());
    }
    let keep = |row: &Row| is_listed(row) && row.text("resource_id") == Some(volume);
    Ok(page_where(account, call, "snapshots", Kind::Snapshots, keep))
}
