//! What holds for every price list and every usage. Ten thousand cases each, or as many as `PROPTEST_CASES` says.

use contracts::{
    biller::{LineKind, PlanItem, PlanVersionStatus, Unit},
    ids::PlanVersionId,
};
use money::{Currency, Decimal};
use proptest::{collection::vec, option, prelude::*, sample::select, test_runner::Config};

use super::*;

/// As many as the library runs when nobody says: it has read `PROPTEST_CASES` itself.
const CASES_OF_THE_LIBRARY: u32 = 256;

fn config() -> Config {
    let read = Config::default();
    let cases = if read.cases == CASES_OF_THE_LIBRARY { 10_000 } else { read.cases };
    Config { cases, failure_persistence: None, ..read }
}

/// Everything that a quote depends on.
#[derive(Debug, Clone)]
struct Given {
    version: PlanVersion,
    addons: Vec<AddonTerms>,
    prices: Vec<ResourcePrice>,
    usage: Usage,
    starts_on: NaiveDate,
}

impl Given {
    fn terms(&self) -> Terms<'_> {
        Terms {
            plan_name: "Any",
            version: &self.version,
            addons: &self.addons,
            prices: &self.prices,
            priced_on: self.starts_on,
        }
    }

    fn overage(&self) -> Vec<QuoteLine> {
        overage::lines(&self.terms(), &self.usage).expect("within the bounds")
    }
}

/// Plans cover the first four of these; usage is of any.
const KINDS: [&str; 6] = ["k0", "k1", "k2", "k3", "k4", "k5"];

fn kind(index: usize) -> BillingKind {
    KINDS[index].parse().expect("a billing kind")
}

/// Whole and fractional, from nothing to where allowances lie and far beyond.
fn quantity() -> impl Strategy<Value = Quantity> {
    (0_i64..=2_000_000_000_000, select(&[0, 1, 6, 9, 12][..]))
        .prop_map(|(mantissa, scale)| Quantity::new(Decimal::new(mantissa, scale)).expect("not negative"))
}

fn cents() -> impl Strategy<Value = Cents> {
    prop_oneof![3 => 0_i64..200, 1 => 0_i64..=100_000].prop_map(Cents::new)
}

fn unit() -> impl Strategy<Value = Unit> {
    select(&Unit::ALL[..])
}

fn items() -> impl Strategy<Value = Vec<PlanItem>> {
    vec(option::of((quantity(), unit(), cents(), option::of(quantity()))), 4).prop_map(|kinds| {
        let present = kinds.into_iter().enumerate().filter_map(|(index, item)| Some((index, item?)));
        present
            .map(|(index, (included_qty, overage_unit, overage_price_cents, above))| PlanItem {
                resource_kind: kind(index),
                included_qty,
                overage_unit,
                overage_price_cents,
                hard_cap_qty: above.map(|above| included_qty.checked_add(above).expect("few digits")),
            })
            .collect()
    })
}

fn addon() -> impl Strategy<Value = AddonTerms> {
    (0..KINDS.len(), quantity(), cents()).prop_map(|(index, qty, price_cents)| AddonTerms {
        code: format!("more_{}", KINDS[index]).parse().expect("a code"),
        name: "More".to_owned(),
        resource_kind: kind(index),
        qty,
        price_cents,
    })
}

fn price() -> impl Strategy<Value = ResourcePrice> {
    (0..KINDS.len(), unit(), cents(), any::<bool>(), 0_u64..800).prop_map(|(index, unit, price, aud, day)| {
        ResourcePrice {
            resource_kind: kind(index),
            unit,
            unit_price_cents: price,
            currency: if aud { Currency::AUD } else { Currency::USD },
            effective_from: first_day() + chrono::Days::new(day),
        }
    })
}

fn first_day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, 1).expect("a day")
}

fn given() -> impl Strategy<Value = Given> {
    let version = (items(), cents()).prop_map(|(items, base_price_cents)| PlanVersion {
        id: PlanVersionId::from_uuid(uuid::Uuid::from_u128(1)),
        plan_code: "any".parse().expect("a code"),
        version: 1,
        status: PlanVersionStatus::Active,
        base_price_cents,
        currency: Currency::AUD,
        items,
        created_at: chrono::DateTime::UNIX_EPOCH,
        published_at: None,
        retired_at: None,
    });
    let usage = vec(option::of(quantity()), KINDS.len()).prop_map(|used| {
        used.into_iter().enumerate().filter_map(|(index, used)| Some((kind(index), used?))).collect()
    });
    let day = (0_u64..800).prop_map(|day| first_day() + chrono::Days::new(day));
    (version, vec(addon(), 0..4), vec(price(), 0..5), usage, day).prop_map(
        |(version, addons, prices, usage, starts_on)| Given { version, addons, prices, usage, starts_on },
    )
}

/// What the overage of one kind costs; nothing without a line.
fn cost(lines: &[QuoteLine], kind: &BillingKind) -> Cents {
    let own = lines.iter().filter(|line| line.resource_kind.as_ref() == Some(kind));
    own.map(|line| line.amount_cents).sum()
}

/// A quantity in 10⁻¹² base units.
fn trillionths(quantity: Quantity) -> i128 {
    let value = quantity.get();
    value.mantissa() * 10_i128.pow(12 - value.scale())
}

/// What a kind costs, reckoned by hand from the words of the specification and from nothing of the engine.
fn reckoned(given: &Given, kind: &BillingKind) -> i128 {
    let used = given.usage.get(kind).copied().map_or(0, trillionths);
    let bought: i128 = given
        .addons
        .iter()
        .filter(|addon| addon.resource_kind == *kind)
        .map(|addon| trillionths(addon.qty))
        .sum();
    let item = given.version.items.iter().find(|item| item.resource_kind == *kind);
    let (allowance, capped, unit, price) = if let Some(item) = item {
        let cap = item.hard_cap_qty.map_or(i128::MAX, trillionths);
        (trillionths(item.included_qty) + bought, used.min(cap), item.overage_unit, item.overage_price_cents)
    } else {
        let mut latest: Option<&ResourcePrice> = None;
        for price in &given.prices {
            let good = price.resource_kind == *kind
                && price.currency == Currency::AUD
                && price.effective_from <= given.starts_on;
            if good && latest.is_none_or(|latest| latest.effective_from <= price.effective_from) {
                latest = Some(price);
            }
        }
        let Some(price) = latest else { return 0 };
        (bought, used, price.unit, price.unit_price_cents)
    };
    let over = (capped - allowance).max(0);
    let divisor = i128::from(unit.factor()) * 10_i128.pow(12);
    // Half up: twice the amount, and one more, over two.
    (2 * over * i128::from(price.get()) + divisor) / (2 * divisor)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn lines_sum_to_totals_and_each_is_rounded_once(given in given()) {
        let quote = project(&given.terms(), &given.usage, given.starts_on).expect("within the bounds");
        for section in [&quote.recurring, &quote.first_invoice, &quote.overage] {
            prop_assert_eq!(section.lines.iter().map(|line| line.amount_cents).sum::<Cents>(), section.total_cents);
        }
        let both = quote.recurring.total_cents.get() + quote.overage.total_cents.get();
        prop_assert_eq!(quote.all_in_monthly_cents.get(), both);
        for line in &quote.overage.lines {
            // With so few digits the library's product is exact, too.
            let exact = line.qty.get() * Decimal::from(line.unit_price_cents.get());
            prop_assert_eq!(Cents::round(exact).expect("small"), line.amount_cents);
            prop_assert!(!line.qty.is_zero() && line.kind == LineKind::Overage);
        }
        prop_assert!(quote.overage.lines.is_sorted_by_key(|line| line.resource_kind.clone()));
    }

    #[test]
    fn a_projection_and_an_invoice_of_the_same_are_equal(given in given()) {
        let terms = given.terms();
        let quote = project(&terms, &given.usage, given.starts_on).expect("within the bounds");
        let whole = invoice(&terms, &given.usage, Share::WHOLE).expect("within the bounds");
        prop_assert_eq!((&quote.recurring, &quote.overage), (&whole.recurring, &whole.overage));
        let first = invoice(&terms, &given.usage, remaining(given.starts_on)).expect("within the bounds");
        prop_assert_eq!((&quote.first_invoice, &quote.overage), (&first.recurring, &first.overage));
        // Whatever order they are read in.
        let mut turned = given.clone();
        turned.version.items.reverse();
        turned.addons.reverse();
        let turned = project(&turned.terms(), &given.usage, given.starts_on).expect("within the bounds");
        prop_assert_eq!(quote, turned);
    }

    #[test]
    fn projections_and_invoices_cost_what_a_reckoning_by_hand_says(given in given()) {
        let days = i128::from(remaining(given.starts_on).days());
        let of = i128::from(remaining(given.starts_on).of());
        let prices = std::iter::once(given.version.base_price_cents)
            .chain(given.addons.iter().map(|addon| addon.price_cents))
            .map(|price| i128::from(price.get()));
        let (mut month, mut first) = (0, 0);
        for price in prices {
            month += price;
            first += (2 * price * days + of) / (2 * of);
        }
        let quote = project(&given.terms(), &given.usage, given.starts_on).expect("within the bounds");
        prop_assert_eq!(i128::from(quote.recurring.total_cents.get()), month);
        prop_assert_eq!(i128::from(quote.first_invoice.total_cents.get()), first);
        let invoice = invoice(&given.terms(), &given.usage, Share::WHOLE).expect("within the bounds");
        let mut overage = 0;
        for kind in (0..KINDS.len()).map(kind) {
            let by_hand = reckoned(&given, &kind);
            overage += by_hand;
            prop_assert_eq!(i128::from(cost(&quote.overage.lines, &kind).get()), by_hand, "{}", kind);
            prop_assert_eq!(i128::from(cost(&invoice.overage.lines, &kind).get()), by_hand, "{}", kind);
        }
        prop_assert_eq!(i128::from(quote.all_in_monthly_cents.get()), month + overage);
    }

    #[test]
    fn more_usage_never_costs_less(given in given(), index in 0..KINDS.len(), more in quantity()) {
        let before = given.overage();
        let mut greater = given.clone();
        let used = greater.usage.entry(kind(index)).or_default();
        *used = used.checked_add(more).expect("few digits");
        let after = greater.overage();
        prop_assert!(cost(&before, &kind(index)) <= cost(&after, &kind(index)));
        for other in (0..KINDS.len()).filter(|other| *other != index).map(kind) {
            prop_assert_eq!(cost(&before, &other), cost(&after, &other));
        }
    }

    #[test]
    fn an_addon_never_raises_overage_of_its_kind(given in given(), addon in addon()) {
        let before = given.overage();
        let mut greater = given.clone();
        greater.addons.push(addon.clone());
        let after = greater.overage();
        prop_assert!(cost(&after, &addon.resource_kind) <= cost(&before, &addon.resource_kind));
        for other in (0..KINDS.len()).map(kind).filter(|other| *other != addon.resource_kind) {
            prop_assert_eq!(cost(&before, &other), cost(&after, &other));
        }
    }

    #[test]
    fn the_whole_month_costs_the_whole_price_and_parts_differ_by_a_cent(given in given(), split in 0_u32..=31) {
        let terms = given.terms();
        let days = remaining(given.starts_on).of();
        let split = split.min(days);
        let part = |part| recurring::lines(&terms, Share::new(part, days).expect("at most the month"));
        let whole = recurring::lines(&terms, Share::WHOLE);
        prop_assert_eq!(whole.len(), 1 + given.addons.len());
        let of_the_month = part(days);
        let (one, other) = (part(split), part(days - split));
        for (index, line) in whole.iter().enumerate() {
            prop_assert_eq!(line.amount_cents, line.unit_price_cents);
            prop_assert_eq!(of_the_month[index].amount_cents, line.amount_cents);
            let parts = one[index].amount_cents.get() + other[index].amount_cents.get();
            prop_assert!((parts - line.amount_cents.get()).abs() <= 1);
        }
    }

    #[test]
    fn the_hard_cap_holds(given in given(), beyond in quantity()) {
        for item in &given.version.items {
            let Some(cap) = item.hard_cap_qty else { continue };
            let kind = &item.resource_kind;
            let using = |used| {
                let usage = Usage::from([(kind.clone(), used)]);
                overage::lines(&given.terms(), &usage).expect("within the bounds")
            };
            let (at, above) = (using(cap), using(cap.checked_add(beyond).expect("few digits")));
            prop_assert_eq!(cost(&at, kind), cost(&above, kind));
            let most = cap.beyond(item.included_qty).get() / Decimal::from(item.overage_unit.factor());
            for line in &above {
                prop_assert!(line.qty.get() <= most);
            }
        }
    }
}
