//! An account, or rows of it, from JSON: counts or explicit rows, with what is not said filled in.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::clock::stamp;
use crate::defaults;
use crate::invoices::{self, NewInvoice};
use crate::kind::Kind;
use crate::lifecycle::{Change, push_id};
use crate::rejected::Rejected;
use crate::render;
use crate::routes::{add_record, add_zone, ensure_tag, record};
use crate::seed;
use crate::state::{Account, into_fields, row_id};
use crate::table::{Fields, Listing, Row};

/// Keys of an account's JSON that are no kinds.
const OTHER_KEYS: [&str; 9] =
    ["account", "balance", "payments", "records", "spaces", "seed", "ids", "pending", "now"];

/// The order in which kinds are added after networks and projects: what others name comes first.
const ORDER: [Kind; 16] = [
    Kind::Keys,
    Kind::Tags,
    Kind::Droplets,
    Kind::Volumes,
    Kind::Snapshots,
    Kind::Backups,
    Kind::FloatingIps,
    Kind::Firewalls,
    Kind::LoadBalancers,
    Kind::Databases,
    Kind::KubernetesClusters,
    Kind::Domains,
    Kind::SpacesKeys,
    Kind::Apps,
    Kind::Actions,
    Kind::Invoices,
];

/// An account from a JSON object. The state that the simulator shows is taken back as it was.
pub fn account(state: &Value, seed: u64, now: DateTime<Utc>) -> Result<Account, Rejected> {
    let object = state.as_object().ok_or_else(|| Rejected::new("body", "must be an object"))?;
    let known = |name: &str| OTHER_KEYS.contains(&name) || Kind::parse(name).is_some();
    if let Some(name) = object.keys().find(|name| !known(name)) {
        return Err(Rejected::new(name, "is no kind"));
    }
    let seed = match object.get("seed") {
        None | Some(Value::Null) => seed,
        Some(seed) => seed.as_u64().ok_or_else(|| Rejected::new("seed", "must be a whole number"))?,
    };
    let mut account = Account::bare(seed);
    for (name, fields) in [("account", &mut account.profile), ("balance", &mut account.balance)] {
        match object.get(name) {
            None => {}
            Some(Value::Object(given)) => fields.extend(given.clone()),
            Some(_) => return Err(Rejected::new(name, "must be an object")),
        }
    }
    if let Some(payments) = object.get("payments") {
        account.payments =
            payments.as_array().cloned().ok_or_else(|| Rejected::new("payments", "must be a list"))?;
    }
    let mut membership = Vec::new();
    if let Some(projects) = rows_of(object, Kind::Projects) {
        match projects {
            Value::Number(_) => seed::add(&mut account, Kind::Projects, count(projects, "projects")?, now),
            projects => {
                for (index, row) in list(projects, "projects")?.iter().enumerate() {
                    let at = format!("projects[{index}]");
                    let (id, members) = project(&mut account, row, now).map_err(|e| e.within(&at))?;
                    membership
                        .extend(members.into_iter().map(|(urn, when)| (at.clone(), id.clone(), urn, when)));
                }
            }
        }
    }
    // A state that was shown says of every resource where it is; elsewhere the silent ones are new.
    let home = if object.contains_key("ids") { Home::AsListed } else { Home::Default };
    rows(&mut account, object, Kind::Vpcs, home, now)?;
    account.ensure_basics(now);
    spaces(&mut account, object.get("spaces"), now)?;
    for kind in ORDER {
        rows(&mut account, object, kind, home, now)?;
    }
    if let Some(records) = object.get("records") {
        records_of_zones(&mut account, records)?;
    }
    for (at, project, urn, when) in membership {
        if !account.has_urn(&urn) {
            return Err(Rejected::new(format!("{at}.resources"), format!("{urn} does not exist")));
        }
        account.membership.assign(&project, &urn, when);
    }
    restore(&mut account, object)?;
    let droplets = account.table(Kind::Droplets).len();
    let limit = account.profile.get("droplet_limit").and_then(Value::as_u64).unwrap_or(0);
    if u64::try_from(droplets).is_ok_and(|droplets| droplets > limit) {
        account.profile.insert("droplet_limit".into(), (droplets + 100).into());
    }
    Ok(account)
}

/// Adds the rows of one kind, given as a count or a list.
fn rows(
    account: &mut Account,
    object: &Map<String, Value>,
    kind: Kind,
    home: Home,
    now: DateTime<Utc>,
) -> Result<(), Rejected> {
    let Some(rows) = rows_of(object, kind) else { return Ok(()) };
    if rows.is_number() {
        let count = count(rows, kind.name())?;
        seed::add(account, kind, count, now);
        return Ok(());
    }
    for (index, row) in list(rows, kind.name())?.iter().enumerate() {
        let at = format!("{}[{index}]", kind.name());
        add(account, kind, row, home, now).map_err(|error| error.within(&at))?;
    }
    Ok(())
}

/// Where an added row goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// Where its field `project` says, else where new resources land.
    Default,
    /// Where its field `project` says, else nowhere.
    AsListed,
}

/// Adds one row and what follows from it. Returns its id.
pub fn add(
    account: &mut Account,
    kind: Kind,
    row: &Value,
    home: Home,
    now: DateTime<Utc>,
) -> Result<String, Rejected> {
    let mut fields = match row {
        Value::Object(fields) => fields.clone(),
        Value::String(name) => into_fields(json!({"name": name})),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            return Err(Rejected::new("row", "must be an object"));
        }
    };
    if kind == Kind::Projects {
        return Ok(project(account, &Value::Object(fields), now)?.0);
    }
    if kind == Kind::Invoices && !fields.contains_key("_csv") {
        return invoice(account, &fields);
    }
    let project = project_id(account, fields.remove("project").as_ref(), home)?;
    let records = fields.remove("records");
    match home {
        Home::Default => defaults::fill(account, kind, &mut fields, now)?,
        // What a shown state does not say of a row is not there, such as a network that is yet to appear.
        Home::AsListed => defaults::identify(account, kind, &mut fields)?,
    }
    let id = row_id(kind, &fields).expect("the defaults include the identifying field");
    if account.table(kind).contains(&id) {
        return Err(Rejected::new(kind.id_field(), format!("{id} exists already")));
    }
    insert(account, kind, fields);
    if let Some(records) = records {
        zone_records(account, &id, &records, true)?;
    }
    if let (Some(word), Some(project)) = (kind.urn_word(), project) {
        account.membership.assign(&project, &format!("do:{word}:{id}"), stamp(now));
    }
    Ok(id)
}

/// Inserts complete fields and keeps the rows that name them in step.
pub fn insert(account: &mut Account, kind: Kind, fields: Fields) {
    let tags: Vec<String> = fields
        .get("tags")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    if kind == Kind::Domains {
        add_zone(account, fields);
        return;
    }
    let mut row = Row::from_state(fields);
    if kind == Kind::Droplets && row.listing() == Listing::Listed && render::has_gpu(&row) {
        row = row.with_listing(Listing::Gpu);
    }
    let id = account.add_row(kind, row);
    if kind != Kind::Tags {
        for tag in tags {
            ensure_tag(account, &tag);
        }
    }
    name_in_droplets(account, kind, &id);
}

/// Enters a new row in the lists that its droplets keep.
fn name_in_droplets(account: &mut Account, kind: Kind, id: &str) {
    let Some(row) = account.table(kind).get(id) else { return };
    if kind == Kind::Snapshots && row.text("resource_type") == Some("droplet") {
        let parent = row.text("resource_id").unwrap_or_default().to_owned();
        if let (Ok(number), Listing::Listed) = (id.parse::<i64>(), row.listing()) {
            account.ids.reserve(number);
            push_id(account, &parent, "snapshot_ids", number);
        }
    } else if kind == Kind::Backups {
        let parent = row.int("_droplet_id").unwrap_or_default();
        let number = row.int("id").unwrap_or_default();
        push_id(account, &parent.to_string(), "backup_ids", number);
    } else if kind == Kind::Volumes {
        let parents: Vec<i64> = row.ints("droplet_ids").collect();
        for parent in parents {
            push_id(account, &parent.to_string(), "volume_ids", id.to_owned());
        }
    }
}

fn project_id(account: &Account, wanted: Option<&Value>, home: Home) -> Result<Option<String>, Rejected> {
    match wanted {
        None if home == Home::Default => Ok(account.default_project()),
        None | Some(Value::Null) => Ok(None),
        Some(wanted) => {
            let wanted =
                wanted.as_str().ok_or_else(|| Rejected::new("project", "must be a name or an id"))?;
            account.find_project(wanted).map(Some).ok_or_else(|| Rejected::new("project", "no such project"))
        }
    }
}

type Members = Vec<(String, String)>;

/// Adds a project given by its name or as an object. Returns its id and the resources it lists.
fn project(account: &mut Account, row: &Value, now: DateTime<Utc>) -> Result<(String, Members), Rejected> {
    let mut fields = match row {
        Value::String(name) => into_fields(json!({"name": name})),
        Value::Object(fields) => fields.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            return Err(Rejected::new("row", "must be a name or an object"));
        }
    };
    let resources = fields.remove("resources").unwrap_or_else(|| json!([]));
    let mut members = Members::new();
    for resource in list(&resources, "resources")? {
        let urn = resource.as_str().or_else(|| resource["urn"].as_str());
        let urn = urn.ok_or_else(|| Rejected::new("resources", "must be URNs"))?;
        if let Some(bucket) = urn.strip_prefix("do:space:")
            && !account.spaces.iter().any(|space| space == bucket)
        {
            account.spaces.push(bucket.to_owned());
        }
        let when = resource["assigned_at"].as_str().map_or_else(|| stamp(now), str::to_owned);
        members.push((urn.to_owned(), when));
    }
    defaults::fill(account, Kind::Projects, &mut fields, now)?;
    let name = fields.get("name").cloned();
    let clash = |row: &Row| row.fields().get("name") == name.as_ref();
    if account.table(Kind::Projects).iter().any(|(_, row)| clash(row)) {
        return Err(Rejected::new("name", "is in use"));
    }
    Ok((account.add(Kind::Projects, fields), members))
}

fn spaces(account: &mut Account, given: Option<&Value>, now: DateTime<Utc>) -> Result<(), Rejected> {
    match given {
        None | Some(Value::Null) => Ok(()),
        Some(given @ Value::Number(_)) => {
            seed::add_spaces(account, count(given, "spaces")?, now);
            Ok(())
        }
        Some(given) => {
            for space in list(given, "spaces")? {
                let name = space.as_str().ok_or_else(|| Rejected::new("spaces", "must be names"))?;
                if !account.spaces.iter().any(|known| known == name) {
                    account.spaces.push(name.to_owned());
                }
            }
            Ok(())
        }
    }
}

fn invoice(account: &mut Account, fields: &Fields) -> Result<String, Rejected> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let period = text("period").or_else(|| text("invoice_period"));
    let period = period.filter(|period| is_period(period));
    let period = period.ok_or_else(|| Rejected::new("period", "must be YYYY-MM"))?;
    let csv = text("csv").ok_or_else(|| Rejected::new("csv", "must be a text"))?;
    let amount = match fields.get("amount") {
        None | Some(Value::Null) => None,
        Some(amount) => {
            let amount = amount.as_str().filter(|amount| invoices::parse_cents(amount).is_some());
            Some(
                amount.ok_or_else(|| Rejected::new("amount", "must be a text such as \"12.34\""))?.to_owned(),
            )
        }
    };
    let uuid = text("invoice_uuid").map(str::to_owned);
    invoices::add(account, NewInvoice { period, csv, amount, uuid })
        .map_err(|error| Rejected::new("csv", error.to_string()))
}

fn is_period(text: &str) -> bool {
    text.len() == 7 && chrono::NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").is_ok()
}

/// `{"example.com": [{"type": "A", …}, …]}`: each list is the whole zone.
fn records_of_zones(account: &mut Account, records: &Value) -> Result<(), Rejected> {
    let zones = records.as_object().ok_or_else(|| Rejected::new("records", "must be an object by zone"))?;
    for (zone, rows) in zones {
        if !account.records.contains_key(zone) {
            return Err(Rejected::new(format!("records.{zone}"), "no such zone"));
        }
        account.records.insert(zone.clone(), Default::default());
        zone_records(account, zone, rows, false).map_err(|error| error.within(&format!("records.{zone}")))?;
    }
    Ok(())
}

/// Adds records to a zone; data is taken as it is stored, without a final dot.
pub fn zone_records(
    account: &mut Account,
    zone: &str,
    rows: &Value,
    fresh: bool,
) -> Result<Vec<i64>, Rejected> {
    let mut ids = Vec::new();
    for (index, row) in list(rows, "records")?.iter().enumerate() {
        let at = |name: &str| format!("records[{index}].{name}");
        let text = |name: &str| row.get(name).and_then(Value::as_str);
        let kind = text("type").ok_or_else(|| Rejected::new(at("type"), "must be a text"))?;
        let data = text("data").ok_or_else(|| Rejected::new(at("data"), "must be a text"))?;
        let ttl = row.get("ttl").and_then(Value::as_i64).unwrap_or(1800);
        let mut fields = record(account, kind, text("name").unwrap_or("@"), data, ttl);
        if let Some(given) = row.as_object() {
            fields.extend(given.clone());
        }
        if !fields["id"].is_i64() || (fresh && row.get("id").is_some_and(|id| !id.is_i64())) {
            return Err(Rejected::new(at("id"), "must be a whole number"));
        }
        ids.extend(add_record(account, zone, fields));
    }
    Ok(ids)
}

fn restore(account: &mut Account, object: &Map<String, Value>) -> Result<(), Rejected> {
    if let Some(ids) = object.get("ids") {
        account.ids =
            serde_json::from_value(ids.clone()).map_err(|error| Rejected::new("ids", error.to_string()))?;
    }
    for (index, pending) in object.get("pending").and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        let rejected =
            |error: serde_json::Error| Rejected::new(format!("pending[{index}]"), error.to_string());
        let due = serde_json::from_value(pending["due"].clone()).map_err(rejected)?;
        let change: Change = serde_json::from_value(pending["change"].clone()).map_err(rejected)?;
        account.schedule(due, change);
    }
    Ok(())
}

fn rows_of(object: &Map<String, Value>, kind: Kind) -> Option<&Value> {
    let alias = if kind == Kind::Domains { "zones" } else { kind.name() };
    object.get(kind.name()).or_else(|| object.get(alias)).filter(|rows| !rows.is_null())
}

fn count(value: &Value, field: &str) -> Result<usize, Rejected> {
    let number = value.as_u64().and_then(|count| usize::try_from(count).ok());
    number
        .filter(|count| *count <= 1_000_000)
        .ok_or_else(|| Rejected::new(field, "must be a count up to 1000000"))
}

fn list<'a>(value: &'a Value, field: &str) -> Result<&'a Vec<Value>, Rejected> {
    value.as_array().ok_or_else(|| Rejected::new(field, "must be a list or a count"))
}
