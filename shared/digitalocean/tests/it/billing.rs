//! The provider's bills.

use digitalocean::{Error, Purpose};

use crate::peer::{Peer, Reply};

const HEADER: &str = "product,group_description,description,hours,start,end,USD,project_name,category\n";

#[tokio::test]
async fn amounts_are_exact_text() {
    let peer = Peer::answering(|_, seen| {
        let body = match seen.line.split(['?', ' ']).nth(1).unwrap() {
            "/v2/customers/my/balance" => {
                r#"{"month_to_date_balance":"23.44","account_balance":"-12.23","month_to_date_usage":"35.67","generated_at":"2026-04-09T15:01:12Z"}"#
            }
            "/v2/customers/my/billing_history" => {
                r#"{"billing_history":[{"description":"Invoice for May","amount":"12.34","invoice_id":"123","invoice_uuid":"u1","date":"2026-06-01T08:44:38Z","type":"Invoice"},
                {"description":"Payment","amount":"-12.34","date":"2026-06-02T08:44:38Z","type":"Payment"},
                {"description":"Payment","amount":"-12.34","date":"2026-06-02T08:44:38Z","type":"Payment"}],"links":{},"meta":{}}"#
            }
            "/v2/customers/my/invoices" => {
                r#"{"invoices":[{"invoice_uuid":"u1","invoice_id":"123","amount":"86.92","invoice_period":"2026-04"}],
                "invoice_preview":{"invoice_uuid":"u2","amount":"34.56","invoice_period":"2026-05","updated_at":"2026-05-09T00:00:00Z"},"links":{},"meta":{"total":1}}"#
            }
            "/v2/customers/my/invoices/u1" => {
                r#"{"invoice_items":[{"product":"Taxes","description":"VAT (10.00%)","amount":"7.90","duration":"0","duration_unit":"","start_time":"2026-04-01T00:00:00Z","end_time":"2026-05-01T00:00:00Z"},
                {"product":"Droplets","resource_id":"206179956","description":"example.com (s-1vcpu-1gb)","amount":"12.00","duration":"720","duration_unit":"Hours","project_name":"web"}],"links":{},"meta":{"total":2}}"#
            }
            "/v2/customers/my/invoices/u1/summary" => {
                r#"{"invoice_uuid":"u1","billing_period":"2026-04","amount":"86.92","user_name":"Sammy Shark","user_email":"sammy@example.com",
                "product_charges":{"name":"Product usage charges","amount":"79.02","items":[{"amount":"79.02","name":"Droplets","count":"5"}]},
                "overages":{"name":"Overages","amount":"0"},"taxes":{"name":"Taxes","amount":"7.90"},"credits_and_adjustments":{"name":"Credits","amount":"0"}}"#
            }
            other => panic!("{other}"),
        };
        Reply::json(200, body)
    })
    .await;
    let client = peer.client(Purpose::Billing);
    let balance = client.balance().await.unwrap();
    assert_eq!(balance.account_balance.as_str(), "-12.23");
    let (history, walk) = client.billing_history().all().await.unwrap();
    assert_eq!(history.len(), 3, "rows without an id are all kept");
    assert!(walk.agrees());
    assert_eq!(history[1].invoice_uuid, None);
    let (invoices, _) = client.invoices().all().await.unwrap();
    assert_eq!(invoices.len(), 1, "the running month is not an invoice");
    let preview = client.invoice_preview().await.unwrap().unwrap();
    assert_eq!(preview.amount.as_str(), "34.56");
    let (items, _) = client.invoice_items("u1").all().await.unwrap();
    assert_eq!(items[1].resource_id.as_deref(), Some("206179956"));
    let summary = client.invoice_summary("u1").await.unwrap();
    assert!(!format!("{summary:?}").contains("ammy"), "nobody's name or address is kept");
}

#[tokio::test]
async fn an_invoice_comes_whole_or_not_at_all() {
    let row = "Droplets,,\"eth (s-4vcpu-8gb)\",744,2026-04-01 00:00:00 +0000,2026-05-01 00:00:00 +0000,$40.00,web,iaas\n";
    let long = format!("{HEADER}{}", row.repeat(1000));
    assert!(long.len() > 64 << 10, "longer than any JSON answer may be");
    let csv = |body: &str| Reply::with(200, &["content-type: text/csv"], body.as_bytes());
    for (name, reply, want) in [
        ("long", csv(&long), Ok(long.len())),
        ("columns in another order", csv("description,product\nx,Droplets\n"), Ok(31)),
        ("byte order mark", csv("\u{feff}\"product\",\"USD\"\n"), Ok(19)),
        ("HTML", csv("<html>,product?</html>"), Err("the first line is not the header of an invoice")),
        ("JSON", csv(r#"{"product":1}"#), Err("the first line is not the header of an invoice")),
        ("empty", csv(""), Err("the first line is not the header of an invoice")),
        ("not text", Reply::with(200, &[], b"product\xff"), Err("it is not UTF-8")),
    ] {
        let peer = Peer::start([reply]).await;
        let got = peer.client(Purpose::Billing).invoice_csv("u1").await;
        match (got, want) {
            (Ok(text), Ok(length)) => assert_eq!(text.len(), length, "{name}"),
            (Err(Error::Malformed { reason, .. }), Err(want)) => assert_eq!(reason, want, "{name}"),
            (got, _) => panic!("{name}: {got:?}"),
        }
        assert_eq!(peer.lines(), ["GET /v2/customers/my/invoices/u1/csv"]);
    }
    let peer = Peer::start([csv(&long.repeat(4))]).await;
    let error = peer.client(Purpose::Billing).invoice_csv("u1").await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}
