//! Invoices as their CSV, from which everything else about them follows.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::clock::stamp;
use crate::kind::Kind;
use crate::state::{Account, into_fields};
use crate::table::Row;

/// Why a CSV cannot be an invoice.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// It is not CSV at all.
    #[error("read line of csv")]
    Read(#[from] csv::Error),
    /// A column that every invoice has is missing.
    #[error("column {0} is missing")]
    ColumnMissing(&'static str),
    /// An amount cannot be read.
    #[error("line {line}: {text:?} is no amount of dollars and cents")]
    Amount {
        /// Line of the file, the header being 1.
        line: usize,
        /// What stands there.
        text: String,
    },
}

/// One line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Product, such as `Droplets` or `Taxes`.
    pub product: String,
    /// The cluster a line belongs to; mostly empty.
    pub group_description: String,
    /// Name and what it is, such as `web-1 (s-1vcpu-1gb)`.
    pub description: String,
    /// Whole hours; empty for taxes and credits.
    pub hours: String,
    /// As it stands in the file.
    pub start: String,
    /// As it stands in the file.
    pub end: String,
    /// US cents, negative for credits.
    pub cents: i64,
    /// The project's name at billing time.
    pub project_name: String,
    /// Absent in older exports.
    pub category: String,
}

/// Reads an invoice by the names of its columns.
pub fn parse(text: &str) -> Result<Vec<Line>, CsvError> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let headers = reader.headers()?.clone();
    let column = |name: &str| headers.iter().position(|header| header.trim() == name);
    for name in ["product", "description", "start", "end", "USD"] {
        column(name).ok_or(CsvError::ColumnMissing(name))?;
    }
    let mut lines = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = record?;
        let cell = |name: &str| column(name).and_then(|at| record.get(at)).unwrap_or_default().to_owned();
        let amount = cell("USD");
        let cents = parse_cents(&amount).ok_or(CsvError::Amount { line: index + 2, text: amount })?;
        lines.push(Line {
            product: cell("product"),
            group_description: cell("group_description"),
            description: cell("description"),
            hours: cell("hours"),
            start: cell("start"),
            end: cell("end"),
            cents,
            project_name: cell("project_name"),
            category: cell("category"),
        });
    }
    Ok(lines)
}

/// `$1,234.56`, `-$0.10`, `0.10` in cents.
pub fn parse_cents(text: &str) -> Option<i64> {
    let bare: String = text.chars().filter(|c| !matches!(c, '$' | ',' | ' ')).collect();
    let (sign, digits) = bare.strip_prefix('-').map_or((1, bare.as_str()), |digits| (-1, digits));
    let (dollars, cents) = digits.split_once('.').unwrap_or((digits, "00"));
    let all_digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    if !all_digits(dollars) || !all_digits(cents) || cents.len() != 2 {
        return None;
    }
    let dollars: i64 = dollars.parse().ok()?;
    let cents: i64 = cents.parse().ok()?;
    Some(sign * dollars.checked_mul(100)?.checked_add(cents)?)
}

/// Cents as the API writes an amount: `86.92`, `-0.10`.
pub fn amount(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let size = cents.unsigned_abs();
    format!("{sign}{}.{:02}", size / 100, size % 100)
}

/// An invoice to add.
#[derive(Debug)]
pub struct NewInvoice<'a> {
    /// `YYYY-MM`.
    pub period: &'a str,
    /// The file, word for word.
    pub csv: &'a str,
    /// When absent, the sum of the lines.
    pub amount: Option<String>,
    /// When absent, a new one.
    pub uuid: Option<String>,
}

/// Adds an invoice to the account and returns its UUID.
pub fn add(account: &mut Account, invoice: NewInvoice<'_>) -> Result<String, CsvError> {
    let lines = parse(invoice.csv)?;
    let total = lines.iter().map(|line| line.cents).sum();
    let uuid = invoice.uuid.unwrap_or_else(|| account.ids.uuid().to_string());
    let number = 500_000_000 + account.ids.word() % 100_000_000;
    let fields = into_fields(json!({
        "invoice_uuid": uuid, "invoice_id": number.to_string(), "invoice_period": invoice.period,
        "amount": invoice.amount.unwrap_or_else(|| amount(total)), "_csv": invoice.csv,
    }));
    account.add(Kind::Invoices, fields);
    Ok(uuid)
}

/// A line as an item of the API, which knows the ids that the file lacks.
pub fn item(account: &Account, line: &Line) -> Value {
    let mut item = json!({
        "product": line.product, "group_description": line.group_description,
        "description": line.description, "amount": amount(line.cents),
        "duration": if line.hours.is_empty() { "0" } else { &line.hours }, "duration_unit": "Hours",
        "start_time": item_time(&line.start), "end_time": item_time(&line.end),
        "project_name": line.project_name,
    });
    if !line.category.is_empty() {
        item["category"] = json!(line.category);
    }
    let name = line.description.split(" (").next().unwrap_or_default();
    let by_name = |kind: Kind, name: &str| {
        let found = account.table(kind).iter().find(|(_, row)| row.text("name") == Some(name));
        found.map(|(id, _)| id.to_owned())
    };
    match line.product.as_str() {
        "Droplets" => {
            if let Some(id) = by_name(Kind::Droplets, name) {
                item["resource_id"] = json!(id);
            }
        }
        "Volumes" => set_uuid(&mut item, by_name(Kind::Volumes, name)),
        "Load Balancers" => set_uuid(&mut item, by_name(Kind::LoadBalancers, name)),
        "Kubernetes Clusters" => {
            set_uuid(&mut item, by_name(Kind::KubernetesClusters, &line.group_description));
        }
        _ => {}
    }
    item
}

fn set_uuid(item: &mut Value, uuid: Option<String>) {
    if let Some(uuid) = uuid {
        item["resource_uuid"] = json!(uuid);
    }
}

/// `2026-04-01 00:00:00 +0000` as RFC 3339; anything else as it stands.
fn item_time(text: &str) -> String {
    DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S %z")
        .map_or_else(|_| text.to_owned(), |at| stamp(at.with_timezone(&Utc)))
}

/// The lines of a stored invoice. They were parsed when it was added.
pub fn lines(invoice: &Row) -> Vec<Line> {
    invoice.text("_csv").and_then(|csv| parse(csv).ok()).unwrap_or_default()
}
