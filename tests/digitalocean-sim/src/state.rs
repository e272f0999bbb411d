//! The account: all its objects, what is about to happen to them, and its form as JSON.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::clock::stamp;
use crate::ids::Ids;
use crate::kind::Kind;
use crate::lifecycle::Change;
use crate::membership::{Membership, parse_urn};
use crate::table::{Fields, Listing, Row, Table};

/// One team's account at the provider.
#[derive(Debug, Clone)]
pub struct Account {
    tables: [Table; Kind::ALL.len()],
    /// DNS records by zone.
    pub records: IndexMap<String, Table>,
    /// Which project each resource is in.
    pub membership: Membership,
    /// Buckets; the API shows them only as URNs of projects.
    pub spaces: Vec<String>,
    /// What `GET /v2/account` says.
    pub profile: Fields,
    /// What `GET …/balance` says, but for the time.
    pub balance: Fields,
    /// Rows of the billing history that are no invoices.
    pub payments: Vec<Value>,
    /// Identifiers to come.
    pub ids: Ids,
    pending: BTreeMap<(DateTime<Utc>, u64), Change>,
    scheduled: u64,
}

impl Account {
    /// An account with nothing but a default project and a private network.
    pub fn empty(seed: u64, now: DateTime<Utc>) -> Self {
        let mut account = Self::bare(seed);
        account.ensure_basics(now);
        account
    }

    /// Not even a default project; for building one from JSON.
    pub fn bare(seed: u64) -> Self {
        let mut ids = Ids::new(seed);
        let profile = json!({
            "droplet_limit": 100, "floating_ip_limit": 50, "reserved_ip_limit": 50, "volume_limit": 100,
            "email": "ops@example.com", "name": "Example Operations", "uuid": ids.hex40(),
            "email_verified": true, "status": "active", "status_message": "",
            "team": {"uuid": ids.hex40(), "name": "Example Team"},
        });
        let balance = json!({
            "month_to_date_balance": "0.00", "account_balance": "0.00", "month_to_date_usage": "0.00",
        });
        Self {
            tables: std::array::from_fn(|_| Table::default()),
            records: IndexMap::new(),
            membership: Membership::default(),
            spaces: Vec::new(),
            profile: into_fields(profile),
            balance: into_fields(balance),
            payments: Vec::new(),
            ids,
            pending: BTreeMap::new(),
            scheduled: 0,
        }
    }

    /// Every account has exactly one default project and a default private network.
    pub fn ensure_basics(&mut self, now: DateTime<Utc>) {
        if self.default_project().is_none() {
            let id = self.ids.uuid().to_string();
            let project = json!({
                "id": id, "owner_uuid": self.ids.hex40(), "owner_id": 258_992, "name": "first-project",
                "description": "Update your project information under Settings",
                "purpose": "Just trying out DigitalOcean", "environment": "", "is_default": true,
                "created_at": stamp(now), "updated_at": stamp(now),
            });
            self.add(Kind::Projects, into_fields(project));
        }
        if self.table(Kind::Vpcs).is_empty() {
            let id = self.ids.uuid().to_string();
            let vpc = json!({
                "id": id, "urn": format!("do:vpc:{id}"), "name": "default-syd1", "description": "",
                "region": "syd1", "ip_range": "10.126.0.0/20", "default": true, "created_at": stamp(now),
            });
            self.add(Kind::Vpcs, into_fields(vpc));
        }
    }

    /// The rows of one kind.
    pub fn table(&self, kind: Kind) -> &Table {
        &self.tables[kind as usize]
    }

    /// The rows of one kind, to change.
    pub fn table_mut(&mut self, kind: Kind) -> &mut Table {
        &mut self.tables[kind as usize]
    }

    /// Adds a complete row at the end of its listing.
    pub fn add(&mut self, kind: Kind, fields: Fields) -> String {
        self.add_row(kind, Row::new(fields))
    }

    /// Adds a complete row with its visibility.
    pub fn add_row(&mut self, kind: Kind, row: Row) -> String {
        let id = row_id(kind, row.fields()).expect("a complete row has its identifying field");
        if let Some(number) = row.int(kind.id_field()) {
            self.ids.reserve(number);
        }
        self.table_mut(kind).insert(id.clone(), row);
        id
    }

    /// Removes a row and everything that would name it: membership and a zone's records.
    pub fn remove(&mut self, kind: Kind, id: &str) -> Option<Row> {
        let row = self.table_mut(kind).remove(id)?;
        if let Some(word) = kind.urn_word() {
            self.membership.forget(&format!("do:{word}:{id}"));
        }
        if kind == Kind::Domains {
            self.records.shift_remove(id);
        }
        Some(row)
    }

    /// The id of the default project.
    pub fn default_project(&self) -> Option<String> {
        let is_default = |row: &Row| row.fields().get("is_default") == Some(&Value::Bool(true));
        self.table(Kind::Projects).iter().find(|(_, row)| is_default(row)).map(|(id, _)| id.to_owned())
    }

    /// The id of the project with that id or name.
    pub fn find_project(&self, wanted: &str) -> Option<String> {
        let mut projects = self.table(Kind::Projects).iter();
        let found = projects.find(|(id, row)| *id == wanted || row.text("name") == Some(wanted));
        found.map(|(id, _)| id.to_owned())
    }

    /// Puts a new resource where new resources land.
    pub fn join_default_project(&mut self, kind: Kind, id: &str, now: DateTime<Utc>) {
        if let (Some(project), Some(word)) = (self.default_project(), kind.urn_word()) {
            self.membership.assign(&project, &format!("do:{word}:{id}"), stamp(now));
        }
    }

    /// Whether the thing a URN names exists.
    pub fn has_urn(&self, urn: &str) -> bool {
        match parse_urn(urn) {
            Some(("space", bucket)) => self.spaces.iter().any(|space| space == bucket),
            Some(("vpc", id)) => self.table(Kind::Vpcs).contains(id),
            Some((word, id)) => Kind::of_urn_word(word).is_some_and(|kind| self.table(kind).contains(id)),
            None => false,
        }
    }

    /// Lets something happen at `due`; of two things due at once the first scheduled comes first.
    pub fn schedule(&mut self, due: DateTime<Utc>, change: Change) {
        self.scheduled += 1;
        self.pending.insert((due, self.scheduled), change);
    }

    /// The next change that is due, taken off the schedule.
    pub fn take_due(&mut self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, Change)> {
        let first = self.pending.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let ((due, _), change) = first.remove_entry();
        Some((due, change))
    }

    /// Makes the wire form of the big listings once, so that the first walk is as fast as the second.
    pub fn warm(&self) {
        for kind in [Kind::Droplets, Kind::Volumes, Kind::Snapshots] {
            for (_, row) in self.table(kind).iter() {
                row.wire(|fields| crate::render::row(kind, fields));
            }
        }
    }

    /// The whole account; `POST /sim/account` takes it back.
    pub fn to_state(&self) -> Value {
        let mut state = Map::new();
        for kind in Kind::ALL {
            state.insert(kind.name().into(), self.table(kind).to_state());
        }
        if let Some(Value::Array(projects)) = state.get_mut("projects") {
            for project in projects {
                let members = project["id"].as_str().and_then(|id| self.membership.of(id));
                project["resources"] = members
                    .into_iter()
                    .flatten()
                    .map(|(urn, assigned_at)| json!({"urn": urn, "assigned_at": assigned_at}))
                    .collect();
            }
        }
        let records =
            self.records.iter().map(|(zone, table)| (zone.clone(), table.to_state())).collect::<Map<_, _>>();
        state.insert("records".into(), records.into());
        state.insert("spaces".into(), json!(self.spaces));
        state.insert("account".into(), self.profile.clone().into());
        state.insert("balance".into(), self.balance.clone().into());
        state.insert("payments".into(), self.payments.clone().into());
        state.insert("ids".into(), json!(self.ids));
        state.insert(
            "pending".into(),
            self.pending.iter().map(|((due, _), change)| json!({"due": due, "change": change})).collect(),
        );
        Value::Object(state)
    }
}

/// The identifying field of a row as text.
pub fn row_id(kind: Kind, fields: &Fields) -> Option<String> {
    match fields.get(kind.id_field())? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The fields of a JSON object that was just written as one.
pub fn into_fields(object: Value) -> Fields {
    match object {
        Value::Object(fields) => fields,
        other => unreachable!("{other} was written as an object"),
    }
}

/// Whether ordinary listings and look-ups by tag show the row.
pub fn is_listed(row: &Row) -> bool {
    row.listing() == Listing::Listed
}
