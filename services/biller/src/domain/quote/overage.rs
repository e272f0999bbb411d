//! What usage costs beyond what is included: by the plan's items, and by unit prices where the plan says nothing.

use contracts::{
    biller::{LineKind, QuoteLine, Unit},
    ids::BillingKind,
};
use money::{Cents, Quantity};
use serde_json::{Map, Value};

use super::{QuoteError, Terms, Usage, exact::Exact};

/// Whose price it is.
#[derive(Debug, Clone, Copy)]
enum Source {
    PlanItem,
    ResourcePrice,
}

impl Source {
    const fn as_str(self) -> &'static str {
        match self {
            Self::PlanItem => "plan_item",
            Self::ResourcePrice => "resource_price",
        }
    }
}

/// How one billing kind is charged.
struct Rate {
    source: Source,
    included: Quantity,
    hard_cap: Option<Quantity>,
    unit: Unit,
    unit_price: Cents,
}

/// A line for each kind of which more was used than is allowed, by kind.
pub(super) fn lines(terms: &Terms, usage: &Usage) -> Result<Vec<QuoteLine>, QuoteError> {
    let mut lines = Vec::new();
    for (kind, used) in usage {
        if let Some(rate) = rate(terms, kind) {
            lines.extend(line(terms, kind, *used, &rate)?);
        }
    }
    Ok(lines)
}

/// The plan's item of the kind, else the unit price in force; `None`: the kind costs nothing.
fn rate(terms: &Terms, kind: &BillingKind) -> Option<Rate> {
    if let Some(item) = terms.version.items.iter().find(|item| item.resource_kind == *kind) {
        return Some(Rate {
            source: Source::PlanItem,
            included: item.included_qty,
            hard_cap: item.hard_cap_qty,
            unit: item.overage_unit,
            unit_price: item.overage_price_cents,
        });
    }
    let in_force = terms.prices.iter().filter(|price| {
        price.resource_kind == *kind
            && price.currency == terms.version.currency
            && price.effective_from <= terms.priced_on
    });
    let price = in_force.max_by_key(|price| price.effective_from)?;
    Some(Rate {
        source: Source::ResourcePrice,
        included: Quantity::ZERO,
        hard_cap: None,
        unit: price.unit,
        unit_price: price.unit_price_cents,
    })
}

/// The kind's line; `None` when nothing was used beyond the allowance.
fn line(
    terms: &Terms,
    kind: &BillingKind,
    used: Quantity,
    rate: &Rate,
) -> Result<Option<QuoteLine>, QuoteError> {
    let digits = || QuoteError::TooManyDigits(kind.clone());
    let exact = |quantity| Exact::of(quantity).ok_or_else(digits);
    let own = terms.addons.iter().filter(|addon| addon.resource_kind == *kind);
    let addon_qty = own
        .map(|addon| addon.qty)
        .try_fold(Exact::ZERO, |sum, qty| sum.plus(Exact::of(qty)?))
        .ok_or_else(digits)?;
    let allowance = exact(rate.included)?.plus(addon_qty).ok_or_else(digits)?;
    let charged = match rate.hard_cap {
        Some(cap) => exact(used)?.min(exact(cap)?),
        None => exact(used)?,
    };
    let over = charged.beyond(allowance);
    if over == Exact::ZERO {
        return Ok(None);
    }
    let mut meta = Map::new();
    let mut put = |name: &str, quantity: Quantity| meta.insert(name.to_owned(), quantity.to_string().into());
    put("used", used);
    put("included_qty", rate.included);
    put("addon_qty", addon_qty.per(1).ok_or_else(digits)?);
    put("allowance", allowance.per(1).ok_or_else(digits)?);
    if let Some(cap) = rate.hard_cap {
        put("hard_cap_qty", cap);
    }
    meta.insert("source".to_owned(), Value::from(rate.source.as_str()));
    let description = match rate.source {
        Source::PlanItem => format!("{kind} beyond the allowance"),
        Source::ResourcePrice => format!("{kind} by unit price"),
    };
    let factor = rate.unit.factor();
    let amount = over.price(factor, rate.unit_price).map_err(|_| QuoteError::TooDear(kind.clone()))?;
    Ok(Some(QuoteLine {
        kind: LineKind::Overage,
        resource_kind: Some(kind.clone()),
        description,
        qty: over.per(factor).ok_or_else(digits)?,
        unit: rate.unit.as_str().to_owned(),
        unit_price_cents: rate.unit_price,
        amount_cents: amount,
        meta,
    }))
}
