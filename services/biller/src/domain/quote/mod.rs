//! The one engine that prices everything: a plan version, add-ons and usage become lines.
//!
//! Projections and invoices are put together from the same lines (`recurring::lines` and `overage::lines`), so
//! they cannot disagree. Everything is an integer or an exact decimal; a line's amount is rounded once, half up,
//! when the line is made, and what cannot be kept exactly is refused. No tax: it is of an invoice, not of a line.

mod exact;
mod overage;
mod recurring;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use contracts::{
    biller::{Addon, PlanVersion, Quote, QuoteLine, QuoteSection, ResourcePrice, SubscriptionAddon},
    ids::{BillingKind, Code},
};
use money::{Cents, Quantity, Share, TooLarge};

/// What usage is priced by.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The plan's name, for its line.
    pub plan_name: &'a str,
    /// The version that was chosen; all amounts are in its currency.
    pub version: &'a PlanVersion,
    /// Add-ons, one entry each time one was attached, priced in the version's currency.
    pub addons: &'a [AddonTerms],
    /// Unit prices for kinds that no plan item covers; those of other currencies and later days are passed over.
    pub prices: &'a [ResourcePrice],
    /// The day whose unit prices are in force.
    pub priced_on: NaiveDate,
}

/// An add-on, as the catalog has it or as it was when it was attached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddonTerms {
    /// Its code.
    pub code: Code,
    /// Its name, for its line.
    pub name: String,
    /// The billing kind it adds to.
    pub resource_kind: BillingKind,
    /// Base units a month that it adds to the allowance.
    pub qty: Quantity,
    /// Price of a month.
    pub price_cents: Cents,
}

impl From<&Addon> for AddonTerms {
    fn from(addon: &Addon) -> Self {
        Self {
            code: addon.code.clone(),
            name: addon.name.clone(),
            resource_kind: addon.resource_kind.clone(),
            qty: addon.qty,
            price_cents: addon.price_cents,
        }
    }
}

impl From<&SubscriptionAddon> for AddonTerms {
    fn from(addon: &SubscriptionAddon) -> Self {
        Self {
            code: addon.code.clone(),
            name: addon.name.clone(),
            resource_kind: addon.resource_kind.clone(),
            qty: addon.qty,
            price_cents: addon.price_cents,
        }
    }
}

/// Used base units by billing kind.
pub type Usage = BTreeMap<BillingKind, Quantity>;

/// Why there is no exact price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// A quantity has more digits than are kept, or than a price can be made of exactly.
    #[error("{0} has more digits than can be priced exactly")]
    TooManyDigits(BillingKind),
    /// A line costs more than any invoice can hold.
    #[error("{0} costs too much to be charged")]
    TooDear(BillingKind),
    /// The lines together cost more than any invoice can hold.
    #[error("the lines together cost too much to be charged")]
    TotalTooLarge(#[from] TooLarge),
}

/// The lines of an invoice for one subscription.
#[derive(Debug, Clone, PartialEq)]
pub struct Priced {
    /// The base price and add-ons, for the share of the month that is charged.
    pub recurring: QuoteSection,
    /// Usage beyond the whole month's allowances.
    pub overage: QuoteSection,
}

/// What a subscription that starts on a day would cost, if a month's usage were this.
pub fn project(terms: &Terms, usage: &Usage, starts_on: NaiveDate) -> Result<Quote, QuoteError> {
    let Priced { recurring, overage } = invoice(terms, usage, Share::WHOLE)?;
    let all_in_monthly_cents = recurring.total_cents.checked_add(overage.total_cents)?;
    Ok(Quote {
        plan_code: terms.version.plan_code.clone(),
        plan_version_id: terms.version.id,
        plan_version: terms.version.version,
        currency: terms.version.currency,
        starts_on,
        recurring,
        first_invoice: section(recurring::lines(terms, remaining(starts_on)))?,
        overage,
        all_in_monthly_cents,
    })
}

/// What a subscription that lived for a share of a month, and used this much in it, costs for the month.
pub fn invoice(terms: &Terms, usage: &Usage, share: Share) -> Result<Priced, QuoteError> {
    Ok(Priced {
        recurring: section(recurring::lines(terms, share))?,
        overage: section(overage::lines(terms, usage)?)?,
    })
}

/// The days from the first day to the end of its month, that day included, of the month's days.
pub fn remaining(first: NaiveDate) -> Share {
    let days_in_month = u32::from(first.num_days_in_month());
    Share::new(days_in_month - first.day0(), days_in_month).expect("a day is within its month")
}

fn section(lines: Vec<QuoteLine>) -> Result<QuoteSection, TooLarge> {
    let total_cents = Cents::checked_sum(lines.iter().map(|line| line.amount_cents))?;
    Ok(QuoteSection { lines, total_cents })
}
