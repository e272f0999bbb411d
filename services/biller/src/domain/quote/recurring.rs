//! What a month costs before anything is used: the base price and the add-ons.

use contracts::{
    biller::{LineKind, QuoteLine},
    ids::BillingKind,
};
use money::{Cents, Quantity, Share};
use serde_json::{Map, Value};

use super::Terms;

/// A month is charged once.
const UNIT: &str = "month";

/// The base price, then each add-on by code; each line prorated and rounded by itself.
pub(super) fn lines(terms: &Terms, share: Share) -> Vec<QuoteLine> {
    let base = line(LineKind::PlanBase, None, terms.plan_name, terms.version.base_price_cents, share);
    // Whoever reads them from wherever gets them in one order.
    let mut addons: Vec<_> = terms.addons.iter().collect();
    addons.sort();
    let addons = addons.into_iter().map(|addon| {
        let kind = Some(addon.resource_kind.clone());
        let mut line = line(LineKind::Addon, kind, &addon.name, addon.price_cents, share);
        line.meta.insert("addon_code".to_owned(), addon.code.as_str().into());
        line.meta.insert("addon_qty".to_owned(), addon.qty.to_string().into());
        line
    });
    std::iter::once(base).chain(addons).collect()
}

fn line(
    kind: LineKind,
    resource_kind: Option<BillingKind>,
    name: &str,
    price: Cents,
    share: Share,
) -> QuoteLine {
    let (mut description, mut meta) = (name.to_owned(), Map::new());
    if share != Share::WHOLE {
        meta.insert("days".to_owned(), Value::from(share.days()));
        meta.insert("days_in_month".to_owned(), Value::from(share.of()));
    }
    if share.days() < share.of() {
        description = format!("{name}, {} of {} days", share.days(), share.of());
    }
    QuoteLine {
        kind,
        resource_kind,
        description,
        qty: Quantity::from(1),
        unit: UNIT.to_owned(),
        unit_price_cents: price,
        amount_cents: price.prorated(share),
        meta,
    }
}
