//! Bills: what a newcomer finds, and what a test can add.

use serde_json::json;

use crate::harness::Harness;

fn cents(amount: &str) -> i64 {
    amount.replace('.', "").parse().unwrap()
}

#[tokio::test]
async fn april_2026_has_33_lines_and_costs_86_92_of_which_tax_7_90() {
    let sim = Harness::demo().await;
    let invoices = sim.get("/v2/customers/my/invoices").await.expect(200);
    let periods: Vec<_> =
        invoices["invoices"].as_array().unwrap().iter().map(|row| row["invoice_period"].clone()).collect();
    assert_eq!(periods, ["2026-04", "2026-03", "2026-01"], "February has none");
    let april = &invoices["invoices"][0];
    assert_eq!(april["amount"], "86.92");
    assert!(april.get("_csv").is_none());
    let path = format!("/v2/customers/my/invoices/{}", april["invoice_uuid"].as_str().unwrap());
    let csv = sim.get(&format!("{path}/csv")).await;
    assert_eq!(csv.header("content-type"), Some("text/csv"));
    assert!(csv.header("content-disposition").unwrap().contains("DigitalOcean Invoice 2026 Apr"));
    assert_eq!(csv.text.lines().count(), 34);
    let items = sim.get(&format!("{path}?per_page=200")).await.expect(200)["invoice_items"].clone();
    let items = items.as_array().unwrap().clone();
    let total: i64 = items.iter().map(|item| cents(item["amount"].as_str().unwrap())).sum();
    let tax: i64 = items
        .iter()
        .filter(|item| item["product"] == "Taxes")
        .map(|item| cents(item["amount"].as_str().unwrap()))
        .sum();
    assert_eq!((items.len(), total, tax), (33, 8692, 790));
    assert_eq!(
        (&items[0]["resource_id"], &items[0]["start_time"]),
        (&json!("600000001"), &json!("2026-04-01T00:00:00Z"))
    );
    let summary = sim.get(&format!("{path}/summary")).await.expect(200);
    assert_eq!((&summary["amount"], &summary["taxes"]["amount"]), (&json!("86.92"), &json!("7.90")));
    assert_eq!(summary["credits_and_adjustments"]["amount"], "-8.62");
}

#[tokio::test]
async fn a_posted_invoice_is_in_the_listing_and_in_the_history() {
    let sim = Harness::start().await;
    let csv = "USD,description,product,start,end\n$1.50,a (b),Droplets,2026-05-01 00:00:00 +0000,x\n-$0.25,c,Credits,,\n";
    let posted =
        sim.control("POST", "/sim/invoices", json!({"period": "2026-05", "csv": csv})).await.expect(200);
    let uuid = posted["invoice_uuid"].as_str().unwrap();
    let listed = sim.get("/v2/customers/my/invoices").await.expect(200);
    assert_eq!((&listed["invoices"][0]["amount"], &listed["meta"]["total"]), (&json!("1.25"), &json!(1)));
    assert_eq!(sim.get(&format!("/v2/customers/my/invoices/{uuid}/csv")).await.text, csv);
    let history = sim.get("/v2/customers/my/billing_history").await.expect(200)["billing_history"].clone();
    assert_eq!((&history[1]["type"], &history[1]["invoice_uuid"]), (&json!("Invoice"), &json!(uuid)));
    assert_eq!((&history[0]["type"], &history[0]["amount"]), (&json!("Payment"), &json!("-1.25")));
    for (field, body) in [
        ("period", json!({"period": "2026-13", "csv": csv})),
        ("csv", json!({"period": "2026-06"})),
        ("csv", json!({"period": "2026-06", "csv": "product,description,start,end,USD\na,b,c,d,lots\n"})),
        ("csv", json!({"period": "2026-06", "csv": "product\n"})),
        ("amount", json!({"period": "2026-06", "csv": csv, "amount": 3})),
    ] {
        assert_eq!(sim.control("POST", "/sim/invoices", body).await.expect(422)["field"], field);
    }
}
