//! Everything behind the one lock: invoices, faults, and the calls so far.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::invoice::{Key, Side};

/// What goes wrong, and how often; without `times` for ever.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Answer this status; the invoice is not taken.
    pub status: Option<u16>,
    /// Take the invoice and answer 500 all the same.
    #[serde(default)]
    pub commit_then_500: bool,
    /// How often it still strikes.
    pub times: Option<u32>,
}

/// One call and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Counts from 1.
    pub seq: u64,
    /// Which side was called.
    pub call: &'static str,
    /// What was sent.
    pub body: Value,
    /// The status that was answered.
    pub status: u16,
    /// `created` or `updated`, when the invoice was taken.
    pub taken: Option<&'static str>,
}

/// An invoice that was taken.
#[derive(Debug, Clone)]
struct Taken {
    finance_invoice_id: Uuid,
    times: u64,
    body: Map<String, Value>,
}

/// The ledger's intake.
#[derive(Debug, Default)]
pub struct World {
    invoices: IndexMap<(Side, Key), Taken>,
    /// Faults that are set.
    pub faults: Vec<Fault>,
    /// Calls so far.
    pub log: Vec<Entry>,
}

impl World {
    /// Takes an invoice: a new one is created, a known one keeps its id.
    pub fn take(&mut self, side: Side, key: Key, body: Map<String, Value>) -> (&'static str, Uuid) {
        match self.invoices.entry((side, key)) {
            indexmap::map::Entry::Occupied(mut known) => {
                let taken = known.get_mut();
                taken.times += 1;
                taken.body = body;
                ("updated", taken.finance_invoice_id)
            }
            indexmap::map::Entry::Vacant(place) => {
                let taken = Taken { finance_invoice_id: Uuid::new_v4(), times: 1, body };
                ("created", place.insert(taken).finance_invoice_id)
            }
        }
    }

    /// The fault that strikes this call.
    pub fn strike(&mut self) -> Option<Fault> {
        let fault = self.faults.iter_mut().find(|fault| fault.times != Some(0))?;
        fault.times = fault.times.map(|times| times - 1);
        Some(fault.clone())
    }

    /// Notes a call.
    pub fn note(&mut self, side: Side, body: Value, status: u16, taken: Option<&'static str>) {
        let seq = self.log.len() as u64 + 1;
        self.log.push(Entry { seq, call: side.name(), body, status, taken });
    }

    /// Every invoice, in the order of its first arrival.
    pub fn to_state(&self) -> Value {
        let of = |wanted: Side| -> Vec<Value> {
            let invoices = self.invoices.iter().filter(|((side, _), _)| *side == wanted);
            invoices
                .map(|(_, taken)| {
                    let mut row = taken.body.clone();
                    row.insert("finance_invoice_id".into(), json!(taken.finance_invoice_id));
                    row.insert("times".into(), taken.times.into());
                    Value::Object(row)
                })
                .collect()
        };
        json!({"invoices": of(Side::Payable), "receivables": of(Side::Receivable)})
    }
}
