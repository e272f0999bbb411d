//! DNS zones.

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::kind::Kind;
use crate::paging::{Window, page};
use crate::state::{Account, into_fields};
use crate::table::{Fields, Row, Table};

/// Time to live of a new zone and of records that name none.
pub const TTL_DEFAULT: i64 = 1800;

/// Top-level domains that the provider refuses.
const RESERVED: [&str; 4] = ["invalid", "test", "localhost", "example"];

pub fn list(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let zones: Vec<(&str, &Row)> = account.table(Kind::Domains).iter().collect();
    let rows: Vec<_> = Window::of(call)
        .slice(&zones)
        .iter()
        .map(|(name, row)| wire(row, account.records.get(*name)).to_string().into())
        .collect();
    Ok(page(call, "domains", zones.len(), &rows))
}

pub fn get(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let name = call.param(0);
    let row = account.table(Kind::Domains).get(name).ok_or_else(Refusal::not_found)?;
    Ok(Answer::one("domain", wire(row, account.records.get(name))))
}

pub fn create(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let name = call.need_text("name")?.trim_end_matches('.').to_ascii_lowercase();
    let top = name.rsplit('.').next().unwrap_or_default();
    let label = |label: &str| {
        !label.is_empty() && label.len() <= 63 && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    if RESERVED.contains(&top) || !name.contains('.') || !name.split('.').all(label) {
        return Err(Refusal::unprocessable("Name Domain is not a valid domain name."));
    }
    if account.table(Kind::Domains).contains(&name) {
        return Err(Refusal::unprocessable("Name already exists"));
    }
    add_zone(account, into_fields(json!({"name": name, "ttl": TTL_DEFAULT})));
    account.join_default_project(Kind::Domains, &name, call.now);
    if let Some(ip) = call.text("ip_address") {
        let fields = record(account, "A", "@", ip, TTL_DEFAULT);
        add_record(account, &name, fields);
    }
    // A new zone's file is empty, as on the live service.
    Ok(Answer::json(201, &json!({"domain": {"name": name, "ttl": TTL_DEFAULT, "zone_file": ""}})))
}

pub fn delete(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    account.remove(Kind::Domains, call.param(0)).ok_or_else(Refusal::not_found)?;
    Ok(Answer::no_content())
}

/// Adds a zone with the records every zone has.
pub fn add_zone(account: &mut Account, fields: Fields) -> String {
    let name = account.add(Kind::Domains, fields);
    account.records.insert(name.clone(), Table::default());
    let soa = record(account, "SOA", "@", "1800", TTL_DEFAULT);
    add_record(account, &name, soa);
    for server in 1..=3 {
        let ns = record(account, "NS", "@", &format!("ns{server}.digitalocean.com"), TTL_DEFAULT);
        add_record(account, &name, ns);
    }
    name
}

/// A record with an id of its own and nothing in the extra fields.
pub fn record(account: &mut Account, kind: &str, name: &str, data: &str, ttl: i64) -> Fields {
    let id = account.ids.record();
    into_fields(json!({
        "id": id, "type": kind, "name": name, "data": data, "priority": null, "port": null, "ttl": ttl,
        "weight": null, "flags": null, "tag": null,
    }))
}

/// Adds a record to a zone that exists.
pub fn add_record(account: &mut Account, zone: &str, fields: Fields) -> Option<i64> {
    let id = fields.get("id")?.as_i64()?;
    account.ids.reserve(id);
    account.records.get_mut(zone)?.insert(id.to_string(), Row::new(fields));
    Some(id)
}

/// A zone with its file, whose serial changes whenever a record does.
fn wire(row: &Row, records: Option<&Table>) -> Value {
    let name = row.text("name").unwrap_or_default();
    let ttl = row.int("ttl").unwrap_or(TTL_DEFAULT);
    let serial = 1_700_000_000 + row.int("_edits").unwrap_or(0);
    let mut file = format!(
        "$ORIGIN {name}.\n$TTL {ttl}\n{name}. IN SOA ns1.digitalocean.com. hostmaster.{name}. {serial} 10800 3600 604800 1800\n"
    );
    for (_, record) in records.into_iter().flat_map(Table::iter) {
        let (kind, data) = (record.text("type").unwrap_or(""), record.text("data").unwrap_or(""));
        if kind != "SOA" {
            let label = match record.text("name").unwrap_or("@") {
                "@" => format!("{name}."),
                label => format!("{label}.{name}."),
            };
            let ttl = record.int("ttl").unwrap_or(ttl);
            file.push_str(&format!("{label} {ttl} IN {kind} {data}\n"));
        }
    }
    let mut wire = crate::render::row(Kind::Domains, row.fields());
    if wire.get("zone_file").is_none() {
        wire["zone_file"] = file.into();
    }
    wire
}
