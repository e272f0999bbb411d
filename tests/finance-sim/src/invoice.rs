//! An invoice as it comes in, checked field by field.

use serde_json::{Map, Value};

/// Which side of the ledger an invoice is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// A bill of a provider, which is ours to pay.
    Payable,
    /// A bill of ours, which a tenant is to pay.
    Receivable,
}

impl Side {
    /// The word in state and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Payable => "invoice",
            Self::Receivable => "receivable",
        }
    }
}

/// What makes two invoices the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Whose ledger.
    pub tenant_id: String,
    /// Where it comes from, such as `digitalocean`.
    pub source: String,
    /// What it is called there.
    pub external_id: String,
}

/// One field that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub message: &'static str,
}

/// The texts that identify an invoice are at most this long.
const TEXT_MAX: usize = 255;

/// Checks an invoice. All faults are told at once.
pub fn check(body: &Map<String, Value>) -> Result<Key, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut text = |field: &'static str| {
        let value = body.get(field).and_then(Value::as_str).map(str::trim).unwrap_or_default();
        if value.is_empty() || value.len() > TEXT_MAX {
            faults.push(Fault { field, message: "must be a text of 1 to 255 characters" });
        }
        value.to_owned()
    };
    let key = Key { tenant_id: text("tenant_id"), source: text("source"), external_id: text("external_id") };
    let currency = text("currency");
    if currency.len() != 3 || !currency.chars().all(|c| c.is_ascii_uppercase()) {
        faults.push(Fault { field: "currency", message: "must be three capital letters" });
    }
    let mut minor = |field: &'static str| {
        let value = body.get(field).and_then(Value::as_i64);
        if value.is_none() {
            faults.push(Fault { field, message: "must be a whole number of minor units" });
        }
        value
    };
    let amounts = (minor("net_minor"), minor("tax_minor"), minor("gross_minor"));
    if let (Some(net), Some(tax), Some(gross)) = amounts
        && net.checked_add(tax) != Some(gross)
    {
        faults.push(Fault { field: "gross_minor", message: "must be the sum of net_minor and tax_minor" });
    }
    if body.get("lines").is_some_and(|lines| !lines.is_array() && !lines.is_null()) {
        faults.push(Fault { field: "lines", message: "must be a list" });
    }
    if faults.is_empty() { Ok(key) } else { Err(faults) }
}
