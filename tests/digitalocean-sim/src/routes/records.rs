//! DNS records: dots that must be sent and are not returned, one time to live per name and type, and
//! duplicates that are accepted.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

use super::domains::{TTL_DEFAULT, add_record, record};
use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::kind::Kind;
use crate::paging::page_of;
use crate::state::Account;
use crate::table::{Fields, Row, Table};

const KINDS: [&str; 9] = ["A", "AAAA", "CAA", "CNAME", "MX", "NS", "SOA", "SRV", "TXT"];

/// Fields that a write may set besides name, data and ttl.
const EXTRAS: [&str; 5] = ["priority", "port", "weight", "flags", "tag"];

/// `name` filters by the full name, although rows show the relative one.
pub fn list(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let zone = call.param(0);
    let rows = zone_records(account, zone)?;
    let (kind, name) = (call.query("type"), call.query("name"));
    let wanted: Vec<Value> = rows
        .iter()
        .map(|(_, row)| row)
        .filter(|row| kind.is_none_or(|kind| row.text("type") == Some(kind)))
        .filter(|row| name.is_none_or(|name| full_name(row, zone).eq_ignore_ascii_case(name)))
        .map(wire)
        .collect();
    Ok(page_of(call, "domain_records", &wanted))
}

pub fn get(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let row = zone_records(account, call.param(0))?.get(call.param(1)).ok_or_else(Refusal::not_found)?;
    Ok(Answer::one("domain_record", wire(row)))
}

pub fn create(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let zone = call.param(0).to_owned();
    zone_records(account, &zone)?;
    let kind = call.need_text("type")?;
    if !KINDS.contains(&kind) || kind == "SOA" {
        return Err(Refusal::unprocessable("Record type is not valid"));
    }
    let data = accept_data(kind, call.need_text("data")?)?;
    let name = relative_name(call.text("name").unwrap_or("@"), &zone)?;
    let ttl = accept_ttl(&call.body["ttl"])?.unwrap_or(TTL_DEFAULT);
    check_required(kind, &call.body)?;
    check_cname(account, &zone, kind, &name, None)?;
    let mut fields = record(account, kind, &name, &data, ttl);
    copy_extras(&call.body, &mut fields);
    let id = add_record(account, &zone, fields).ok_or_else(Refusal::not_found)?;
    level_ttl(account, &zone, kind, &name, ttl);
    edited(account, &zone);
    answer(account, &zone, id, 201)
}

/// PUT and PATCH alike: what is not sent stays.
pub fn update(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let (zone, id) = (call.param(0).to_owned(), call.param(1).to_owned());
    let row = zone_records(account, &zone)?.get(&id).ok_or_else(Refusal::not_found)?;
    let old_kind = row.text("type").unwrap_or_default().to_owned();
    let kind = call.text("type").unwrap_or(&old_kind).to_owned();
    if !KINDS.contains(&kind.as_str()) || (kind == "SOA") != (old_kind == "SOA") {
        return Err(Refusal::unprocessable("Record type is not valid"));
    }
    let data = call.text("data").map(|data| accept_data(&kind, data)).transpose()?;
    let name = match call.text("name") {
        Some(name) => relative_name(name, &zone)?,
        None => row.text("name").unwrap_or("@").to_owned(),
    };
    let ttl = accept_ttl(&call.body["ttl"])?;
    check_cname(account, &zone, &kind, &name, Some(&id))?;
    let number = id.parse().unwrap_or_default();
    let rows = account.records.get_mut(&zone).ok_or_else(Refusal::not_found)?;
    rows.edit(&id, |fields| {
        fields.insert("type".into(), kind.clone().into());
        fields.insert("name".into(), name.clone().into());
        if let Some(data) = data {
            fields.insert("data".into(), data.into());
        }
        if let Some(ttl) = ttl {
            fields.insert("ttl".into(), ttl.into());
        }
        copy_extras(&call.body, fields);
    });
    if let Some(ttl) = ttl {
        level_ttl(account, &zone, &kind, &name, ttl);
    }
    edited(account, &zone);
    answer(account, &zone, number, 200)
}

pub fn delete(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let zone = call.param(0).to_owned();
    let rows = account.records.get_mut(&zone).ok_or_else(Refusal::not_found)?;
    rows.remove(call.param(1)).ok_or_else(Refusal::not_found)?;
    edited(account, &zone);
    Ok(Answer::no_content())
}

fn zone_records<'a>(account: &'a Account, zone: &str) -> Result<&'a Table, Refusal> {
    account.records.get(zone).ok_or_else(Refusal::not_found)
}

fn wire(row: &Row) -> Value {
    Value::Object(row.fields().clone())
}

fn answer(account: &Account, zone: &str, id: i64, status: u16) -> Result<Answer, Refusal> {
    let row = zone_records(account, zone)?.get(&id.to_string()).ok_or_else(Refusal::not_found)?;
    Ok(Answer::json(status, &json!({"domain_record": wire(row)})))
}

fn full_name(row: &Row, zone: &str) -> String {
    match row.text("name").unwrap_or("@") {
        "@" => zone.to_owned(),
        label => format!("{label}.{zone}"),
    }
}

/// `@` is the apex. A final dot makes a name absolute; without one even a full name is relative.
fn relative_name(name: &str, zone: &str) -> Result<String, Refusal> {
    let invalid = || Refusal::unprocessable("Name is not valid");
    if name.is_empty() || name.len() > 253 || name.chars().any(char::is_whitespace) {
        return Err(invalid());
    }
    let Some(absolute) = name.strip_suffix('.') else { return Ok(name.to_owned()) };
    if absolute == zone {
        return Ok("@".to_owned());
    }
    let relative = absolute.strip_suffix(zone).and_then(|label| label.strip_suffix('.'));
    relative.map(str::to_owned).ok_or_else(invalid)
}

/// The data as it is stored: without the final dot that some types must be sent with.
fn accept_data(kind: &str, data: &str) -> Result<String, Refusal> {
    match kind {
        "A" if data.parse::<Ipv4Addr>().is_err() => {
            Err(Refusal::unprocessable("IP address did not match IPv4 format (e.g. 127.0.0.1)."))
        }
        "AAAA" if data.parse::<Ipv6Addr>().is_err() => {
            Err(Refusal::unprocessable("IP address did not match IPv6 format (e.g. 2001:db8::ff00:42:8329)."))
        }
        "CNAME" | "MX" | "NS" | "SRV" if data != "@" => match data.strip_suffix('.') {
            Some(host) if !host.is_empty() => Ok(host.to_owned()),
            Some(_) | None => Err(Refusal::unprocessable("Data needs to end with a dot (.)")),
        },
        "CAA" => Ok(data.strip_suffix('.').unwrap_or(data).to_owned()),
        _ => Ok(data.to_owned()),
    }
}

fn accept_ttl(ttl: &Value) -> Result<Option<i64>, Refusal> {
    if ttl.is_null() {
        return Ok(None);
    }
    let invalid = || Refusal::unprocessable("TTL must be a positive integer");
    ttl.as_i64().filter(|ttl| (1..=i64::from(i32::MAX)).contains(ttl)).map(Some).ok_or_else(invalid)
}

fn check_required(kind: &str, body: &Value) -> Result<(), Refusal> {
    let required: &[&str] = match kind {
        "MX" => &["priority"],
        "SRV" => &["priority", "port", "weight"],
        "CAA" => &["flags", "tag"],
        _ => &[],
    };
    match required.iter().find(|name| body.get(**name).is_none_or(Value::is_null)) {
        Some(name) => Err(Refusal::unprocessable(format!("{name} is required for {kind} records"))),
        None => Ok(()),
    }
}

/// A CNAME tolerates no other record of its name, duplicates of itself included.
fn check_cname(
    account: &Account,
    zone: &str,
    kind: &str,
    name: &str,
    except: Option<&str>,
) -> Result<(), Refusal> {
    let clash = zone_records(account, zone)?.iter().any(|(id, row)| {
        Some(id) != except
            && row.text("name") == Some(name)
            && (kind == "CNAME" || row.text("type") == Some("CNAME"))
    });
    if clash {
        return Err(Refusal::unprocessable("CNAME records cannot share a name with other records"));
    }
    Ok(())
}

/// Unset extras are null; clients that send zeros for them mean the same.
fn copy_extras(body: &Value, fields: &mut Fields) {
    for name in EXTRAS {
        if let Some(value) = body.get(name) {
            fields.insert(name.to_owned(), value.clone());
        }
    }
}

/// All records of one name and type share a time to live; the newest write wins.
fn level_ttl(account: &mut Account, zone: &str, kind: &str, name: &str, ttl: i64) {
    let Some(rows) = account.records.get_mut(zone) else { return };
    let same: Vec<String> = rows
        .iter()
        .filter(|(_, row)| row.text("type") == Some(kind) && row.text("name") == Some(name))
        .map(|(id, _)| id.to_owned())
        .collect();
    for id in same {
        rows.set(&id, "ttl", ttl);
    }
}

fn edited(account: &mut Account, zone: &str) {
    account.table_mut(Kind::Domains).edit(zone, |fields| {
        let edits = fields.get("_edits").and_then(Value::as_i64).unwrap_or(0);
        fields.insert("_edits".into(), (edits + 1).into());
    });
}
