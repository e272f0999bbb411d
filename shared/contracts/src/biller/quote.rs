//! What something would cost.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use money::{Cents, Currency, Quantity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Scope,
    ids::{BillingKind, Code, PlanVersionId},
};

/// What a line charges for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// The plan's base price.
    PlanBase,
    /// An add-on.
    Addon,
    /// Usage beyond the allowance, or that no plan item covers.
    Overage,
}

/// One priced line. `amount_cents` was rounded when the line was made, once, half up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QuoteLine {
    /// What it charges for.
    pub kind: LineKind,
    /// The billing kind; absent for the base price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_kind: Option<BillingKind>,
    /// For people.
    pub description: String,
    /// How many units.
    pub qty: Quantity,
    /// Of what.
    pub unit: String,
    /// Price of one unit.
    pub unit_price_cents: Cents,
    /// What the line costs.
    pub amount_cents: Cents,
    /// How it came about: for overage `used`, `included_qty`, `addon_qty`, `allowance`, `hard_cap_qty`, `source`
    /// (`plan_item` or `resource_price`); for prorated lines `days` and `days_in_month`. Quantities are decimal strings.
    pub meta: Map<String, Value>,
}

/// Lines and their sum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QuoteSection {
    /// The lines.
    pub lines: Vec<QuoteLine>,
    /// Their sum.
    pub total_cents: Cents,
}

/// An itemised quote, before tax.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quote {
    /// The plan.
    pub plan_code: Code,
    /// The version that was priced: the active one.
    pub plan_version_id: PlanVersionId,
    /// Its number.
    pub plan_version: i32,
    /// The currency of every amount.
    pub currency: Currency,
    /// The first day.
    pub starts_on: NaiveDate,
    /// The base price and add-ons of a whole month.
    pub recurring: QuoteSection,
    /// The recurring lines prorated from the first day to the end of its month.
    pub first_invoice: QuoteSection,
    /// What the projected usage of a month costs beyond the allowances.
    pub overage: QuoteSection,
    /// A whole month: recurring and overage.
    pub all_in_monthly_cents: Cents,
}

/// What would this cost?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MakeQuote {
    /// Whose view; prices are the same for everyone.
    pub scope: Scope,
    /// The plan, in its active version.
    pub plan_code: Code,
    /// Add-ons; a code may stand more than once.
    #[serde(default)]
    pub addons: Vec<Code>,
    /// Base units a month by billing kind.
    #[serde(default)]
    pub projected_usage: BTreeMap<BillingKind, Quantity>,
    /// The first day; absent: today.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_on: Option<NaiveDate>,
}

query!(MakeQuote => Quote, "qry.biller.quote.make.v1");
