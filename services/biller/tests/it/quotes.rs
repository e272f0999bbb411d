//! What it would cost, asked as the gateway asks.

use contracts::{
    Scope,
    biller::{MakeQuote, Quote, ResourcePrice, SetResourcePrice, Unit},
};
use expect_test::expect;
use money::{Cents, Currency, Quantity};

use crate::shop::{Shop, addon, code, item, operator, tenant};

fn ask(plan: &str, addons: &[&str], usage: &[(&str, &str)], starts_on: Option<&str>) -> MakeQuote {
    let quantity = |text: &str| serde_json::from_str::<Quantity>(&format!("\"{text}\"")).unwrap();
    MakeQuote {
        scope: tenant(),
        plan_code: code(plan),
        addons: addons.iter().map(|addon| code(addon)).collect(),
        projected_usage: usage.iter().map(|(kind, qty)| (kind.parse().unwrap(), quantity(qty))).collect(),
        starts_on: starts_on.map(|day| day.parse().unwrap()),
    }
}

/// Totals, and the amounts of the lines they are of.
fn totals(quote: &Quote) -> String {
    let section = |section: &contracts::biller::QuoteSection| {
        let lines: Vec<String> = section.lines.iter().map(|line| line.amount_cents.to_string()).collect();
        format!("{} [{}]", section.total_cents, lines.join(" + "))
    };
    format!(
        "recurring {}, first invoice {}, overage {}, all in {}",
        section(&quote.recurring),
        section(&quote.first_invoice),
        section(&quote.overage),
        quote.all_in_monthly_cents
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worked_examples_come_out_to_the_cent() {
    let shop = Shop::start().await;
    let studio = shop.studio().await;
    let mut shown = Vec::new();
    for (addons, usage, starts_on) in [
        (&[][..], &[][..], "2026-05-01"),
        (&["storage_50gb"], &[], "2026-05-20"),
        (
            &["storage_50gb"],
            &[("llm_tokens", "1500000"), ("spaces_gb_month", "200"), ("droplet_hours", "1488")],
            "2026-05-20",
        ),
        (
            &[],
            &[
                ("droplet_hours", "480"),
                ("dns_zones", "0.645161290323"),
                ("snapshot_gb_month", "15.483870967742"),
            ],
            "2026-05-01",
        ),
        (&["storage_50gb"], &[("droplet_hours", "2160")], "2026-04-01"),
        (&[], &[("droplet_hours", "3600")], "2026-04-01"),
    ] {
        for scope in [tenant(), Scope::Operator] {
            let query = MakeQuote { scope, ..ask("studio", addons, usage, Some(starts_on)) };
            let quote = shop.query(&query).await.unwrap();
            assert_eq!((quote.plan_version_id, quote.currency), (studio.id, Currency::AUD));
            shown.push(totals(&quote));
        }
    }
    shown.dedup();
    expect![[r#"
        recurring 50.00 [50.00], first invoice 50.00 [50.00], overage 0.00 [], all in 50.00
        recurring 57.50 [50.00 + 7.50], first invoice 22.25 [19.35 + 2.90], overage 0.00 [], all in 57.50
        recurring 57.50 [50.00 + 7.50], first invoice 22.25 [19.35 + 2.90], overage 6.00 [5.00 + 1.00], all in 63.50
        recurring 50.00 [50.00], first invoice 50.00 [50.00], overage 0.00 [], all in 50.00
        recurring 57.50 [50.00 + 7.50], first invoice 57.50 [50.00 + 7.50], overage 6.72 [6.72], all in 64.22
        recurring 50.00 [50.00], first invoice 50.00 [50.00], overage 21.12 [21.12], all in 71.12"#]].assert_eq(&shown.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_follows_what_is_on_offer_and_the_unit_price_of_the_day() {
    let shop = Shop::start().await;
    shop.studio().await;
    for (cents, from) in [(400, "2026-01-01"), (500, "2026-05-20")] {
        let price = ResourcePrice {
            resource_kind: "floating_ips".parse().unwrap(),
            unit: Unit::Each,
            unit_price_cents: Cents::new(cents),
            currency: Currency::AUD,
            effective_from: from.parse().unwrap(),
        };
        shop.command(&SetResourcePrice { price, actor: operator() }).await.unwrap();
    }
    let asked = async |starts_on| {
        let quote = shop.query(&ask("studio", &[], &[("floating_ips", "3")], starts_on)).await.unwrap();
        quote.all_in_monthly_cents
    };
    assert_eq!(asked(Some("2025-12-31")).await, Cents::new(5_000));
    assert_eq!(asked(Some("2026-05-19")).await, Cents::new(6_200));
    assert_eq!(asked(Some("2026-05-20")).await, Cents::new(6_500));

    let draft = shop.draft("studio", 6_000, vec![item("floating_ips", 3, Unit::Each, 900)]).await;
    assert_eq!(asked(Some("2026-05-20")).await, Cents::new(6_500));
    shop.publish(draft.id).await.unwrap();
    assert_eq!(asked(Some("2026-05-20")).await, Cents::new(6_000));
    // Nobody said from when: from today.
    let quote = shop.query(&ask("studio", &[], &[], None)).await.unwrap();
    let today: chrono::DateTime<chrono::Utc> = std::time::SystemTime::now().into();
    assert!((today.date_naive() - quote.starts_on).num_days() <= 1, "{}", quote.starts_on);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_quoted_is_refused_with_the_field_named() {
    let shop = Shop::start().await;
    shop.studio().await;
    shop.plan("planned", "Planned").await;
    shop.command(&addon("storage_usd", Currency::USD)).await.unwrap();
    let many = vec!["storage_50gb"; 101];
    let refused = [
        shop.query(&ask("nothing", &[], &[], None)).await.unwrap_err(),
        shop.query(&ask("planned", &[], &[], None)).await.unwrap_err(),
        shop.query(&ask("studio", &["nothing"], &[], None)).await.unwrap_err(),
        shop.query(&ask("studio", &["storage_50gb", "storage_usd"], &[], None)).await.unwrap_err(),
        shop.query(&ask("studio", &many, &[], None)).await.unwrap_err(),
        shop.query(&ask("studio", &[], &[], Some("1999-12-31"))).await.unwrap_err(),
        shop.query(&ask("studio", &[], &[], Some("2100-01-01"))).await.unwrap_err(),
        shop.query(&ask("studio", &[], &[("droplet_hours", "0.0000000000001")], None)).await.unwrap_err(),
    ];
    expect![[r#"
        422 /plan_code: there is no such plan
        422 /plan_code: nothing of this plan is on offer yet
        422 /addons/0: there is no such add-on
        422 /addons/1: is priced in USD, and the plan in AUD
        422 /addons: must be at most 100 entries
        422 /starts_on: must be a day from 2000 to 2099
        422 /starts_on: must be a day from 2000 to 2099
        422 /projected_usage/droplet_hours: must have at most 12 digits behind the point"#]]
    .assert_eq(&refused.join("\n"));
    let most = shop.query(&ask("studio", &many[..100], &[("droplet_hours", "999999999999999")], None)).await;
    assert_eq!(most.unwrap().overage.total_cents, Cents::new(999_999_999_999_999 - 1_488));

    shop.plan("dear", "Dear").await;
    let dear = item("droplet_hours", 0, Unit::Hour, 100_000_000_000);
    let draft = shop.draft("dear", 0, vec![dear]).await;
    shop.publish(draft.id).await.unwrap();
    let beyond = shop.query(&ask("dear", &[], &[("droplet_hours", "999999999999999")], None)).await;
    assert_eq!(
        beyond.unwrap_err(),
        "422 /projected_usage/droplet_hours: droplet_hours costs too much to be charged"
    );
}
