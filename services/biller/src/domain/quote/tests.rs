//! The worked examples, and what an engine could get wrong.

use contracts::{
    biller::{PlanItem, PlanVersionStatus, Unit},
    ids::PlanVersionId,
};
use expect_test::{Expect, expect};
use money::Currency;

use super::*;

fn kind(name: &str) -> BillingKind {
    name.parse().unwrap()
}

fn quantity(text: &str) -> Quantity {
    serde_json::from_str(&format!("\"{text}\"")).unwrap()
}

fn item(name: &str, included: &str, unit: Unit, cents: i64) -> PlanItem {
    PlanItem {
        resource_kind: kind(name),
        included_qty: quantity(included),
        overage_unit: unit,
        overage_price_cents: Cents::new(cents),
        hard_cap_qty: None,
    }
}

/// What the seed sells as Studio.
fn studio() -> PlanVersion {
    PlanVersion {
        id: PlanVersionId::from_uuid(uuid::Uuid::from_u128(1)),
        plan_code: "studio".parse().unwrap(),
        version: 1,
        status: PlanVersionStatus::Active,
        base_price_cents: Cents::new(5_000),
        currency: Currency::AUD,
        items: vec![
            item("bandwidth_gb", "1000", Unit::Gb, 2),
            item("dns_zones", "5", Unit::ZoneMonth, 50),
            item("droplet_hours", "1488", Unit::Hour, 1),
            item("llm_tokens", "1000000", Unit::ThousandTokens, 1),
            item("snapshot_gb_month", "100", Unit::GbMonth, 6),
            item("spaces_gb_month", "100", Unit::GbMonth, 2),
        ],
        created_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        published_at: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        retired_at: None,
    }
}

fn addon(code: &str, name: &str, resource_kind: &str, qty: u64, cents: i64) -> AddonTerms {
    AddonTerms {
        code: code.parse().unwrap(),
        name: name.to_owned(),
        resource_kind: kind(resource_kind),
        qty: Quantity::from(qty),
        price_cents: Cents::new(cents),
    }
}

fn storage() -> AddonTerms {
    addon("storage_50gb", "Storage 50 GB", "spaces_gb_month", 50, 750)
}

fn price(name: &str, cents: i64, currency: Currency, from: &str) -> ResourcePrice {
    ResourcePrice {
        resource_kind: kind(name),
        unit: Unit::Gb,
        unit_price_cents: Cents::new(cents),
        currency,
        effective_from: from.parse().unwrap(),
    }
}

/// A case: what is subscribed to, what is used, from when.
struct Case {
    version: PlanVersion,
    addons: Vec<AddonTerms>,
    prices: Vec<ResourcePrice>,
    usage: Usage,
    starts_on: NaiveDate,
}

impl Case {
    fn from(starts_on: &str) -> Self {
        Self {
            version: studio(),
            addons: Vec::new(),
            prices: Vec::new(),
            usage: Usage::new(),
            starts_on: starts_on.parse().unwrap(),
        }
    }

    fn with(mut self, addon: AddonTerms) -> Self {
        self.addons.push(addon);
        self
    }

    fn using(mut self, name: &str, qty: &str) -> Self {
        self.usage.insert(kind(name), quantity(qty));
        self
    }

    fn priced(mut self, price: ResourcePrice) -> Self {
        self.prices.push(price);
        self
    }

    fn capped(mut self, name: &str, cap: u64) -> Self {
        let item = self.version.items.iter_mut().find(|item| item.resource_kind == kind(name)).unwrap();
        item.hard_cap_qty = Some(Quantity::from(cap));
        self
    }

    fn quote(&self) -> Result<Quote, QuoteError> {
        let terms = Terms {
            plan_name: "Studio",
            version: &self.version,
            addons: &self.addons,
            prices: &self.prices,
            priced_on: self.starts_on,
        };
        project(&terms, &self.usage, self.starts_on)
    }
}

fn shown(section: &QuoteSection, name: &str) -> String {
    let mut text = format!("{name} {}\n", section.total_cents);
    for line in &section.lines {
        let (qty, unit, price) = (line.qty, &line.unit, line.unit_price_cents);
        text += &format!("  {}: {qty} {unit} × {price} = {}\n", line.description, line.amount_cents);
    }
    text
}

fn check(case: &Case, outcome: Expect) {
    let text = match case.quote() {
        Err(error) => format!("cannot: {error}\n"),
        Ok(quote) => {
            shown(&quote.recurring, "recurring")
                + &shown(&quote.first_invoice, "first invoice")
                + &shown(&quote.overage, "overage")
                + &format!("all in {}\n", quote.all_in_monthly_cents)
        }
    };
    outcome.assert_eq(&text);
}

#[test]
fn studio_alone_costs_its_base_price() {
    check(
        &Case::from("2026-05-01"),
        expect![[r#"
        recurring 50.00
          Studio: 1 month × 50.00 = 50.00
        first invoice 50.00
          Studio: 1 month × 50.00 = 50.00
        overage 0.00
        all in 50.00
    "#]],
    );
}

#[test]
fn studio_with_storage_from_the_twentieth_of_may() {
    check(
        &Case::from("2026-05-20").with(storage()),
        expect![[r#"
        recurring 57.50
          Studio: 1 month × 50.00 = 50.00
          Storage 50 GB: 1 month × 7.50 = 7.50
        first invoice 22.25
          Studio, 12 of 31 days: 1 month × 50.00 = 19.35
          Storage 50 GB, 12 of 31 days: 1 month × 7.50 = 2.90
        overage 0.00
        all in 57.50
    "#]],
    );
}

#[test]
fn half_a_million_tokens_over_and_two_hundred_gigabytes() {
    let case = Case::from("2026-05-20")
        .with(storage())
        .using("llm_tokens", "1500000")
        .using("spaces_gb_month", "200")
        .using("droplet_hours", "1488");
    check(
        &case,
        expect![[r#"
        recurring 57.50
          Studio: 1 month × 50.00 = 50.00
          Storage 50 GB: 1 month × 7.50 = 7.50
        first invoice 22.25
          Studio, 12 of 31 days: 1 month × 50.00 = 19.35
          Storage 50 GB, 12 of 31 days: 1 month × 7.50 = 2.90
        overage 6.00
          llm_tokens beyond the allowance: 500 1k_tokens × 0.01 = 5.00
          spaces_gb_month beyond the allowance: 50 gb_month × 0.02 = 1.00
        all in 63.50
    "#]],
    );
}

/// SPEC §8: ten days of two droplets, two zones and three snapshots of 48 GB in a month of 31 days.
#[test]
fn ten_metered_days_stay_within_the_allowances() {
    let case = Case::from("2026-05-01")
        .using("droplet_hours", "480")
        .using("dns_zones", "0.645161290323")
        .using("snapshot_gb_month", "15.483870967742");
    check(
        &case,
        expect![[r#"
        recurring 50.00
          Studio: 1 month × 50.00 = 50.00
        first invoice 50.00
          Studio: 1 month × 50.00 = 50.00
        overage 0.00
        all in 50.00
    "#]],
    );
}

/// SPEC §10: three droplets for the 30 days of April.
#[test]
fn three_droplets_in_april() {
    let case = Case::from("2026-04-01").with(storage()).using("droplet_hours", "2160");
    check(
        &case,
        expect![[r#"
        recurring 57.50
          Studio: 1 month × 50.00 = 50.00
          Storage 50 GB: 1 month × 7.50 = 7.50
        first invoice 57.50
          Studio: 1 month × 50.00 = 50.00
          Storage 50 GB: 1 month × 7.50 = 7.50
        overage 6.72
          droplet_hours beyond the allowance: 672 hour × 0.01 = 6.72
        all in 64.22
    "#]],
    );
}

/// SPEC §11: five droplets for the 30 days of April.
#[test]
fn five_droplets_in_april() {
    check(
        &Case::from("2026-04-01").using("droplet_hours", "3600"),
        expect![[r#"
        recurring 50.00
          Studio: 1 month × 50.00 = 50.00
        first invoice 50.00
          Studio: 1 month × 50.00 = 50.00
        overage 21.12
          droplet_hours beyond the allowance: 2112 hour × 0.01 = 21.12
        all in 71.12
    "#]],
    );
}

#[test]
fn an_allowance_is_passed_by_the_smallest_fraction_and_rounded_once() {
    check(
        &Case::from("2026-05-01").using("droplet_hours", "1488.000000000001"),
        expect![[r#"
        recurring 50.00
          Studio: 1 month × 50.00 = 50.00
        first invoice 50.00
          Studio: 1 month × 50.00 = 50.00
        overage 0.00
          droplet_hours beyond the allowance: 0.000000000001 hour × 0.01 = 0.00
        all in 50.00
    "#]],
    );
    check(
        &Case::from("2026-05-01").using("droplet_hours", "1488.5"),
        expect![[r#"
        recurring 50.00
          Studio: 1 month × 50.00 = 50.00
        first invoice 50.00
          Studio: 1 month × 50.00 = 50.00
        overage 0.01
          droplet_hours beyond the allowance: 0.5 hour × 0.01 = 0.01
        all in 50.01
    "#]],
    );
    check(
        &Case::from("2026-05-01").using("llm_tokens", "1000499"),
        expect![[r#"
        recurring 50.00
          Studio: 1 month × 50.00 = 50.00
        first invoice 50.00
          Studio: 1 month × 50.00 = 50.00
        overage 0.00
          llm_tokens beyond the allowance: 0.499 1k_tokens × 0.01 = 0.00
        all in 50.00
    "#]],
    );
}

#[test]
fn nothing_beyond_the_hard_cap_is_charged() {
    let case = || Case::from("2026-05-01").capped("spaces_gb_month", 120);
    check(
        &case().using("spaces_gb_month", "1000"),
        expect![[r#"
        recurring 50.00
          Studio: 1 month × 50.00 = 50.00
        first invoice 50.00
          Studio: 1 month × 50.00 = 50.00
        overage 0.40
          spaces_gb_month beyond the allowance: 20 gb_month × 0.02 = 0.40
        all in 50.40
    "#]],
    );
    check(
        &case().with(storage()).using("spaces_gb_month", "1000"),
        expect![[r#"
        recurring 57.50
          Studio: 1 month × 50.00 = 50.00
          Storage 50 GB: 1 month × 7.50 = 7.50
        first invoice 57.50
          Studio: 1 month × 50.00 = 50.00
          Storage 50 GB: 1 month × 7.50 = 7.50
        overage 0.00
        all in 57.50
    "#]],
    );
}

#[test]
fn what_no_item_covers_is_priced_by_the_unit_price_in_force() {
    let case = || {
        Case::from("2026-05-20")
            .using("floating_ips", "3")
            .priced(price("floating_ips", 400, Currency::AUD, "2026-01-01"))
            .priced(price("floating_ips", 500, Currency::AUD, "2026-05-20"))
            .priced(price("floating_ips", 600, Currency::AUD, "2026-05-21"))
            .priced(price("floating_ips", 700, Currency::USD, "2026-05-20"))
    };
    check(
        &case(),
        expect![[r#"
        recurring 50.00
          Studio: 1 month × 50.00 = 50.00
        first invoice 19.35
          Studio, 12 of 31 days: 1 month × 50.00 = 19.35
        overage 15.00
          floating_ips by unit price: 3 gb × 5.00 = 15.00
        all in 65.00
    "#]],
    );
    check(
        &case().with(addon("ips", "Two addresses", "floating_ips", 2, 300)),
        expect![[r#"
        recurring 53.00
          Studio: 1 month × 50.00 = 50.00
          Two addresses: 1 month × 3.00 = 3.00
        first invoice 20.51
          Studio, 12 of 31 days: 1 month × 50.00 = 19.35
          Two addresses, 12 of 31 days: 1 month × 3.00 = 1.16
        overage 5.00
          floating_ips by unit price: 1 gb × 5.00 = 5.00
        all in 58.00
    "#]],
    );
    // The plan's own item stands before any unit price, and a kind without either costs nothing.
    let case = Case::from("2026-05-01")
        .using("droplet_hours", "1489")
        .using("unheard_of", "1000000")
        .priced(price("droplet_hours", 1_000, Currency::AUD, "2026-01-01"));
    check(
        &case,
        expect![[r#"
        recurring 50.00
          Studio: 1 month × 50.00 = 50.00
        first invoice 50.00
          Studio: 1 month × 50.00 = 50.00
        overage 0.01
          droplet_hours beyond the allowance: 1 hour × 0.01 = 0.01
        all in 50.01
    "#]],
    );
}

#[test]
fn the_order_of_what_is_given_does_not_matter() {
    let other = || addon("storage_10gb", "Storage 10 GB", "spaces_gb_month", 10, 200);
    let one = Case::from("2026-05-20").with(storage()).with(other()).with(storage());
    let two = Case::from("2026-05-20").with(other()).with(storage()).with(storage());
    assert_eq!(one.quote(), two.quote());
    check(
        &one,
        expect![[r#"
        recurring 67.00
          Studio: 1 month × 50.00 = 50.00
          Storage 10 GB: 1 month × 2.00 = 2.00
          Storage 50 GB: 1 month × 7.50 = 7.50
          Storage 50 GB: 1 month × 7.50 = 7.50
        first invoice 25.92
          Studio, 12 of 31 days: 1 month × 50.00 = 19.35
          Storage 10 GB, 12 of 31 days: 1 month × 2.00 = 0.77
          Storage 50 GB, 12 of 31 days: 1 month × 7.50 = 2.90
          Storage 50 GB, 12 of 31 days: 1 month × 7.50 = 2.90
        overage 0.00
        all in 67.00
    "#]],
    );
}

#[test]
fn what_cannot_be_priced_exactly_is_refused() {
    let mut dear = Case::from("2026-05-01").using("droplet_hours", "999999999999999");
    dear.version.items[2].overage_price_cents = Cents::new(100_000_000_000);
    check(
        &dear,
        expect![[r#"
        cannot: droplet_hours costs too much to be charged
    "#]],
    );
    // Finer than a millionth of the smallest quantity that somebody writes.
    let mut fine = Case::from("2026-05-01").using("llm_tokens", "1000000.0000000000001");
    fine.version.items[3].overage_unit = Unit::MillionTokens;
    check(
        &fine,
        expect![[r#"
        cannot: llm_tokens has more digits than can be priced exactly
    "#]],
    );
    let mut total = Case::from("2026-05-01").with(addon("dear", "Dear", "droplet_hours", 1, i64::MAX));
    total.version.base_price_cents = Cents::new(1);
    check(
        &total,
        expect![[r#"
        cannot: the lines together cost too much to be charged
    "#]],
    );
}

#[test]
fn a_line_says_how_it_came_about() {
    let case = Case::from("2026-05-20").with(storage()).capped("spaces_gb_month", 1_000);
    let quote = case.using("spaces_gb_month", "200.5").quote().unwrap();
    let meta = |line: &QuoteLine| serde_json::to_string(&line.meta).unwrap();
    expect![[r#"{"addon_qty":"50","allowance":"150","hard_cap_qty":"1000","included_qty":"100","source":"plan_item","used":"200.5"}"#]].assert_eq(&meta(&quote.overage.lines[0]));
    expect![[r#"{"addon_code":"storage_50gb","addon_qty":"50","days":12,"days_in_month":31}"#]]
        .assert_eq(&meta(&quote.first_invoice.lines[1]));
    expect!["{}"].assert_eq(&meta(&quote.recurring.lines[0]));
}

#[test]
fn the_start_day_counts() {
    for (day, days, of) in [
        ("2026-05-20", 12, 31),
        ("2026-05-01", 31, 31),
        ("2026-05-31", 1, 31),
        ("2026-02-28", 1, 28),
        ("2028-02-01", 29, 29),
        ("2028-02-29", 1, 29),
    ] {
        assert_eq!(remaining(day.parse().unwrap()), Share::new(days, of).unwrap(), "{day}");
    }
}
