//! Balance, history and invoices.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use serde_json::{Map, Value, json};

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::clock::stamp;
use crate::invoices::{Line, amount, item, lines, parse_cents};
use crate::kind::Kind;
use crate::paging::{Window, page_of, page_with};
use crate::render;
use crate::state::{Account, into_fields};
use crate::table::Row;

/// The name under which the running month's invoice can be read.
const PREVIEW: &str = "preview";
const PREVIEW_UUID: &str = "1fd9c1c2-51a5-4c0f-8f8a-8f6a1d6bb001";
const CSV_HEADER: &str = "product,group_description,description,hours,start,end,USD,project_name,category\n";

pub fn balance(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let mut body = account.balance.clone();
    body.insert("generated_at".into(), stamp(call.now).into());
    Ok(Answer::json(200, &Value::Object(body)))
}

/// Invoices with the payment that follows each, and the account's other entries; newest first.
pub fn history(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let mut entries = account.payments.clone();
    for (_, row) in account.table(Kind::Invoices).iter() {
        let Some((date, name)) = invoice_date(row) else { continue };
        let total = row.text("amount").unwrap_or_default();
        entries.push(json!({
            "description": format!("Invoice for {name}"), "amount": total, "type": "Invoice",
            "invoice_id": row.text("invoice_id"), "invoice_uuid": row.text("invoice_uuid"),
            "date": format!("{date}T08:44:38Z"),
        }));
        if let Some(cents) = parse_cents(total).filter(|cents| *cents > 0) {
            entries.push(json!({
                "description": "Payment (Visa 4242)", "amount": amount(-cents), "type": "Payment",
                "date": format!("{date}T09:12:03Z"),
            }));
        }
    }
    entries.sort_by(|a, b| b["date"].as_str().cmp(&a["date"].as_str()));
    Ok(page_of(call, "billing_history", &entries))
}

/// The first of the month after the period, when the invoice was cut, and the period in words.
fn invoice_date(row: &Row) -> Option<(NaiveDate, String)> {
    let period = row.text("invoice_period")?;
    let first = NaiveDate::parse_from_str(&format!("{period}-01"), "%Y-%m-%d").ok()?;
    let cut = first.checked_add_months(chrono::Months::new(1))?;
    Some((cut, first.format("%B %Y").to_string()))
}

pub fn invoices(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let newest_first: Vec<&Row> = account.table(Kind::Invoices).iter().rev().map(|(_, row)| row).collect();
    let rows: Vec<_> = Window::of(call)
        .slice(&newest_first)
        .iter()
        .map(|row| row.wire(|fields| render::row(Kind::Invoices, fields)))
        .collect();
    let mut more = Map::new();
    more.insert("invoice_preview".into(), render::row(Kind::Invoices, preview(account, call).fields()));
    Ok(page_with(call, "invoices", newest_first.len(), &rows, &more))
}

/// The running month, regenerated daily and in no listing.
fn preview(account: &Account, call: &Call<'_>) -> Row {
    let midnight = call.now.date_naive().format("%Y-%m-%dT00:00:00Z").to_string();
    Row::new(into_fields(json!({
        "invoice_uuid": PREVIEW_UUID, "invoice_id": "599999999",
        "amount": account.balance.get("month_to_date_usage"),
        "invoice_period": call.now.format("%Y-%m").to_string(), "updated_at": midnight, "_csv": CSV_HEADER,
    })))
}

fn find(account: &Account, call: &Call<'_>) -> Result<Row, Refusal> {
    let uuid = call.param(0);
    if uuid == PREVIEW || uuid == PREVIEW_UUID {
        return Ok(preview(account, call));
    }
    account.table(Kind::Invoices).get(uuid).cloned().ok_or_else(Refusal::not_found)
}

pub fn items(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let rows: Vec<Value> = lines(&find(account, call)?).iter().map(|line| item(account, line)).collect();
    Ok(page_of(call, "invoice_items", &rows))
}

pub fn csv(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let row = find(account, call)?;
    let csv = row.text("_csv").unwrap_or(CSV_HEADER).to_owned();
    Ok(Answer::file("text/csv", &format!("{}.csv", file_name(&row)), csv))
}

/// A document of one empty page; nobody reads more of it than its type.
pub fn pdf(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let row = find(account, call)?;
    let body = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
                3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n";
    Ok(Answer::file("application/pdf", &format!("{}.pdf", file_name(&row)), body))
}

fn file_name(row: &Row) -> String {
    let period = row.text("invoice_period").unwrap_or_default();
    let month = NaiveDate::parse_from_str(&format!("{period}-01"), "%Y-%m-%d")
        .map_or_else(|_| period.to_owned(), |day| day.format("%Y %b").to_string());
    format!("DigitalOcean Invoice {month} (6173678-{})", row.text("invoice_id").unwrap_or_default())
}

pub fn summary(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let row = find(account, call)?;
    let lines = lines(&row);
    let mut products: BTreeMap<&str, (i64, usize)> = BTreeMap::new();
    let (mut taxes, mut credits) = (0, 0);
    for Line { product, cents, .. } in &lines {
        match product.as_str() {
            "Taxes" => taxes += cents,
            "Credits" => credits += cents,
            product => {
                let charge = products.entry(product).or_default();
                *charge = (charge.0 + cents, charge.1 + 1);
            }
        }
    }
    let charged: i64 = products.values().map(|(cents, _)| cents).sum();
    let items: Vec<Value> = products
        .iter()
        .map(|(name, (cents, count))| json!({"name": name, "amount": amount(*cents), "count": count.to_string()}))
        .collect();
    let group = |name: &str, cents: i64| json!({"name": name, "amount": amount(cents)});
    Ok(Answer::json(
        200,
        &json!({
            "invoice_uuid": row.text("invoice_uuid"), "invoice_id": row.text("invoice_id"),
            "billing_period": row.text("invoice_period"), "amount": row.text("amount"),
            "user_name": account.profile.get("name"), "user_email": account.profile.get("email"),
            "user_company": "Example Pty Ltd",
            "user_billing_address": {
                "address_line1": "1 Example Street", "address_line2": "", "city": "Sydney", "region": "NSW",
                "postal_code": "2000", "country_iso2_code": "AU",
                "created_at": "2024-09-03T16:34:46.000+00:00", "updated_at": "2024-09-03T16:34:46.000+00:00",
            },
            "product_charges": {"name": "Product usage charges", "amount": amount(charged), "items": items},
            "overages": group("Overages", 0), "taxes": group("Taxes", taxes),
            "credits_and_adjustments": group("Credits & adjustments", credits),
        }),
    ))
}

/// Daily points: each line of an invoice spread over the days it covers, the rest on its last day.
pub fn insights(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let day = |index| NaiveDate::parse_from_str(call.param(index), "%Y-%m-%d").ok();
    let (Some(from), Some(to)) = (day(1), day(2)) else {
        return Err(Refusal::bad_request("dates must be YYYY-MM-DD"));
    };
    if to < from || (to - from).num_days() > 30 {
        return Err(Refusal::bad_request("the range must be between 1 and 31 days"));
    }
    let mut points = Vec::new();
    for (_, row) in account.table(Kind::Invoices).iter() {
        for line in lines(row).iter().filter(|line| !matches!(line.product.as_str(), "Taxes" | "Credits")) {
            points.extend(daily(call.param(0), line, from, to));
        }
    }
    let window = Window::of(call);
    Ok(Answer::json(
        200,
        &json!({
            "data_points": window.slice(&points), "total_items": points.len(),
            "total_pages": window.pages(points.len()), "current_page": window.number(),
        }),
    ))
}

fn daily(urn: &str, line: &Line, from: NaiveDate, to: NaiveDate) -> Vec<Value> {
    let date = |text: &str| text.get(..10).and_then(|day| NaiveDate::parse_from_str(day, "%Y-%m-%d").ok());
    let (Some(start), Some(end)) = (date(&line.start), date(&line.end)) else { return Vec::new() };
    // An end at midnight excludes that day.
    let last = if line.end.contains(" 00:00:00") { end.pred_opt().unwrap_or(end) } else { end }.max(start);
    let days = (last - start).num_days() + 1;
    let share = line.cents / days;
    (0..days)
        .filter_map(|index| Some((index, start.checked_add_days(Days::new(u64::try_from(index).ok()?))?)))
        .filter(|(_, day)| (from..=to).contains(day))
        .map(|(index, day)| {
            let cents = if index == days - 1 { line.cents - share * (days - 1) } else { share };
            json!({
                "usage_team_urn": urn, "start_date": day.to_string(), "total_amount": amount(cents),
                "region": "syd1", "sku": format!("1-DO-{}", line.product.to_uppercase().replace(' ', "-")),
                "description": line.description, "group_description": line.group_description,
            })
        })
        .collect()
}
