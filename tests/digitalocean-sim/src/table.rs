//! Rows of one kind in listing order, each with its wire form kept until the row changes.

use std::sync::OnceLock;

use bytes::Bytes;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

/// The fields of a row. A name beginning with `_` is the simulator's own and never goes on the wire.
pub type Fields = Map<String, Value>;

/// Where a row shows up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// In every listing.
    Listed,
    /// Only in the listing with `type=gpus`.
    Gpu,
    /// In no listing yet; only a look-up by id may find it.
    Late,
}

/// One object of the account.
#[derive(Debug, Clone)]
pub struct Row {
    fields: Fields,
    listing: Listing,
    wire: OnceLock<Bytes>,
}

impl Row {
    /// A row that is listed.
    pub fn new(fields: Fields) -> Self {
        Self { fields, listing: Listing::Listed, wire: OnceLock::new() }
    }

    /// The same row with another visibility.
    pub fn with_listing(mut self, listing: Listing) -> Self {
        self.listing = listing;
        self
    }

    /// All fields, the simulator's own included.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Where it shows up.
    pub fn listing(&self) -> Listing {
        self.listing
    }

    /// The text of a field, if it is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }

    /// The integer of a field, if it is one.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.fields.get(name)?.as_i64()
    }

    /// The texts of a list; nothing when it is absent or null.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// The integers of a list; nothing when it is absent or null.
    pub fn ints(&self, name: &str) -> impl Iterator<Item = i64> {
        self.fields.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_i64)
    }

    /// The wire form, made by `render` once and kept.
    pub fn wire(&self, render: impl FnOnce(&Fields) -> Value) -> Bytes {
        self.wire.get_or_init(|| Bytes::from(render(&self.fields).to_string())).clone()
    }

    /// The row as state: its fields, and `_listing` when it is not simply listed.
    pub fn to_state(&self) -> Value {
        let mut fields = self.fields.clone();
        match self.listing {
            Listing::Listed => {}
            Listing::Gpu => drop(fields.insert("_listing".into(), json!("gpu"))),
            Listing::Late => drop(fields.insert("_listing".into(), json!("late"))),
        }
        Value::Object(fields)
    }

    /// The reverse of [`Row::to_state`].
    pub fn from_state(mut fields: Fields) -> Self {
        let listing = match fields.remove("_listing").as_ref().and_then(Value::as_str) {
            Some("gpu") => Listing::Gpu,
            Some("late") => Listing::Late,
            Some(_) | None => Listing::Listed,
        };
        Self::new(fields).with_listing(listing)
    }
}

/// Rows by id, in the order in which they are listed.
#[derive(Debug, Clone, Default)]
pub struct Table {
    rows: IndexMap<String, Row>,
    /// How many rows are not simply listed; zero lets a listing take a slice instead of a scan.
    unlisted: usize,
}

impl Table {
    /// How many rows there are, whatever their visibility.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether every row is simply listed.
    pub fn all_listed(&self) -> bool {
        self.unlisted == 0
    }

    /// The row of that id.
    pub fn get(&self, id: &str) -> Option<&Row> {
        self.rows.get(id)
    }

    /// Whether the id exists.
    pub fn contains(&self, id: &str) -> bool {
        self.rows.contains_key(id)
    }

    /// The row at a position of the listing order.
    pub fn at(&self, index: usize) -> Option<(&str, &Row)> {
        self.rows.get_index(index).map(|(id, row)| (id.as_str(), row))
    }

    /// Every row in listing order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Row)> {
        self.rows.iter().map(|(id, row)| (id.as_str(), row))
    }

    /// Adds a row at the end, or replaces the one of that id in its place.
    pub fn insert(&mut self, id: String, row: Row) {
        let added = usize::from(row.listing != Listing::Listed);
        let replaced = self.rows.insert(id, row);
        let removed = replaced.map_or(0, |old| usize::from(old.listing != Listing::Listed));
        self.unlisted = self.unlisted + added - removed;
    }

    /// Changes the fields of a row; `None` when there is no such row.
    pub fn edit<T>(&mut self, id: &str, change: impl FnOnce(&mut Fields) -> T) -> Option<T> {
        let row = self.rows.get_mut(id)?;
        row.wire = OnceLock::new();
        Some(change(&mut row.fields))
    }

    /// Sets one field of a row, if the row exists.
    pub fn set(&mut self, id: &str, name: &str, value: impl Into<Value>) {
        self.edit(id, |fields| drop(fields.insert(name.to_owned(), value.into())));
    }

    /// Changes where a row shows up.
    pub fn list_as(&mut self, id: &str, listing: Listing) {
        if let Some(row) = self.rows.get_mut(id) {
            let was = usize::from(row.listing != Listing::Listed);
            row.listing = listing;
            self.unlisted = self.unlisted + usize::from(listing != Listing::Listed) - was;
        }
    }

    /// Removes a row and keeps the order of the others.
    pub fn remove(&mut self, id: &str) -> Option<Row> {
        let row = self.rows.shift_remove(id)?;
        self.unlisted -= usize::from(row.listing != Listing::Listed);
        Some(row)
    }

    /// The table as state.
    pub fn to_state(&self) -> Value {
        self.rows.values().map(Row::to_state).collect()
    }
}
