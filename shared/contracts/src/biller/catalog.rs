//! Plans, their versions, add-ons and unit prices.

use chrono::{DateTime, NaiveDate, Utc};
use money::{Cents, Currency, Quantity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Actor, Event, Message, Scope,
    ids::{BillingKind, Code, PlanVersionId},
    paging::{Page, PageRequest},
};

/// What a price is per. Usage is counted in base units; [`Unit::factor`] of them make one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Unit {
    /// An hour.
    #[serde(rename = "hour")]
    Hour,
    /// A gigabyte kept for a month.
    #[serde(rename = "gb_month")]
    GbMonth,
    /// A gigabyte moved.
    #[serde(rename = "gb")]
    Gb,
    /// A DNS zone kept for a month.
    #[serde(rename = "zone_month")]
    ZoneMonth,
    /// A thousand tokens.
    #[serde(rename = "1k_tokens")]
    ThousandTokens,
    /// A million tokens.
    #[serde(rename = "1m_tokens")]
    MillionTokens,
    /// One of whatever is counted.
    #[serde(rename = "each")]
    Each,
}

impl Unit {
    /// Every unit.
    pub const ALL: [Self; 7] = [
        Self::Hour,
        Self::GbMonth,
        Self::Gb,
        Self::ZoneMonth,
        Self::ThousandTokens,
        Self::MillionTokens,
        Self::Each,
    ];

    /// Base units in one unit.
    pub const fn factor(self) -> u32 {
        match self {
            Self::ThousandTokens => 1_000,
            Self::MillionTokens => 1_000_000,
            Self::Hour | Self::GbMonth | Self::Gb | Self::ZoneMonth | Self::Each => 1,
        }
    }

    /// The unit as it is written in the database, in messages and on lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::GbMonth => "gb_month",
            Self::Gb => "gb",
            Self::ZoneMonth => "zone_month",
            Self::ThousandTokens => "1k_tokens",
            Self::MillionTokens => "1m_tokens",
            Self::Each => "each",
        }
    }
}

/// Where a plan version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanVersionStatus {
    /// Made, and not yet offered.
    Draft,
    /// What new subscriptions get. At most one per plan; one for ever after the first was published.
    Active,
    /// No longer offered; its subscribers stay on it.
    Retired,
}

impl PlanVersionStatus {
    /// The status as it is written in the database and in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

/// What a plan version allows of one billing kind, and what more of it costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanItem {
    /// The billing kind.
    pub resource_kind: BillingKind,
    /// Base units a month that the base price covers.
    pub included_qty: Quantity,
    /// What the overage price is per.
    pub overage_unit: Unit,
    /// Price of one unit beyond the allowance; 0 or more.
    pub overage_price_cents: Cents,
    /// Base units a month beyond which nothing more is charged; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hard_cap_qty: Option<Quantity>,
}

/// A version of a plan; its prices and items never change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanVersion {
    /// Its id.
    pub id: PlanVersionId,
    /// The plan's code.
    pub plan_code: Code,
    /// Counts the plan's versions, from 1.
    pub version: i32,
    /// Where it stands.
    pub status: PlanVersionStatus,
    /// Price of a month.
    pub base_price_cents: Cents,
    /// The currency of all its prices.
    pub currency: Currency,
    /// One per billing kind, by kind.
    pub items: Vec<PlanItem>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it became active; absent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<DateTime<Utc>>,
    /// When another took its place; absent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<DateTime<Utc>>,
}

/// A plan as the catalog shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Its code.
    pub code: Code,
    /// Its name for people.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// What new subscriptions get; absent until a version is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_version: Option<PlanVersion>,
}

/// A plan with its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanDetail {
    /// Its code.
    pub code: Code,
    /// Its name for people.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Newest first, the active one always among them. Drafts are shown to operators only.
    pub versions: Vec<PlanVersion>,
    /// Whether the plan has more versions than one answer shows; then the oldest are not here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub older_left_out: bool,
}

/// More of a billing kind, for a price a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Addon {
    /// Its code.
    pub code: Code,
    /// Its name for people.
    pub name: String,
    /// The billing kind.
    pub resource_kind: BillingKind,
    /// Base units a month that it adds to the allowance.
    pub qty: Quantity,
    /// Price of a month.
    pub price_cents: Cents,
    /// The currency of the price.
    pub currency: Currency,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A unit price for usage that no plan item covers, from a day on until the next one's day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourcePrice {
    /// The billing kind.
    pub resource_kind: BillingKind,
    /// What the price is per.
    pub unit: Unit,
    /// Price of one unit.
    pub unit_price_cents: Cents,
    /// The currency of the price.
    pub currency: Currency,
    /// First day on which it is in force.
    pub effective_from: NaiveDate,
}

/// Which plans are there?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListPlans {
    /// Whose view; the catalog is the same for everyone.
    pub scope: Scope,
    /// Which page, by code.
    pub page: PageRequest,
}

query!(ListPlans => Page<Plan>, "qry.biller.plan.list.v1");

/// One plan with every version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetPlan {
    /// Whose view: drafts are operators' business.
    pub scope: Scope,
    /// Which.
    pub code: Code,
}

query!(GetPlan => PlanDetail, "qry.biller.plan.get.v1");

/// Which add-ons are there?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListAddons {
    /// Whose view; the catalog is the same for everyone.
    pub scope: Scope,
    /// Which page, by code.
    pub page: PageRequest,
}

query!(ListAddons => Page<Addon>, "qry.biller.addon.list.v1");

/// Which unit prices are there, past and future ones too?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListResourcePrices {
    /// Whose view; the catalog is the same for everyone.
    pub scope: Scope,
    /// Which page, by kind, currency and day.
    pub page: PageRequest,
}

query!(ListResourcePrices => Page<ResourcePrice>, "qry.biller.resource-price.list.v1");

/// Make a plan; it has no version yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreatePlan {
    /// Its code; taken once.
    pub code: Code,
    /// Its name for people.
    pub name: String,
    /// Who says so.
    pub actor: Actor,
}

command!(CreatePlan => Plan, "cmd.biller.plan.create.v1");

/// Make a draft of a new version, with its items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreatePlanVersion {
    /// Of which plan.
    pub plan_code: Code,
    /// Price of a month; 0 or more.
    pub base_price_cents: Cents,
    /// The currency of all its prices.
    pub currency: Currency,
    /// At most one per billing kind.
    pub items: Vec<PlanItem>,
    /// Who says so.
    pub actor: Actor,
}

command!(CreatePlanVersion => PlanVersion, "cmd.biller.plan-version.create.v1");

/// Offer a draft from now on; the version that was active retires in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublishPlanVersion {
    /// Which draft.
    pub id: PlanVersionId,
    /// Who says so.
    pub actor: Actor,
}

command!(PublishPlanVersion => PlanVersion, "cmd.biller.plan-version.publish.v1");

/// Make an add-on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreateAddon {
    /// Its code; taken once.
    pub code: Code,
    /// Its name for people.
    pub name: String,
    /// The billing kind.
    pub resource_kind: BillingKind,
    /// Base units a month that it adds to the allowance; more than 0.
    pub qty: Quantity,
    /// Price of a month; 0 or more.
    pub price_cents: Cents,
    /// The currency of the price.
    pub currency: Currency,
    /// Who says so.
    pub actor: Actor,
}

command!(CreateAddon => Addon, "cmd.biller.addon.create.v1");

/// Set the unit price of a billing kind from a day on. A day has one price: setting it again is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetResourcePrice {
    /// What.
    pub price: ResourcePrice,
    /// Who says so.
    pub actor: Actor,
}

command!(SetResourcePrice => ResourcePrice, "cmd.biller.resource-price.set.v1");

macro_rules! catalog_event {
    ($(#[$doc:meta])* $name:ident, $field:ident : $type:ty, $subject:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub struct $name {
            /// What it is now.
            pub $field: $type,
            /// Who did it.
            pub actor: Actor,
        }

        impl Message for $name {
            const SUBJECT: &'static str = $subject;
        }

        impl Event for $name {}
    };
}

catalog_event!(
    /// A plan was made.
    PlanCreated,
    plan: Plan,
    "evt.biller.plan.created.v1"
);
catalog_event!(
    /// A draft of a plan's next version was made.
    PlanVersionCreated,
    version: PlanVersion,
    "evt.biller.plan-version.created.v1"
);
catalog_event!(
    /// A version is offered from now on, and the one before it no longer.
    PlanVersionPublished,
    version: PlanVersion,
    "evt.biller.plan-version.published.v1"
);
catalog_event!(
    /// An add-on was made.
    AddonCreated,
    addon: Addon,
    "evt.biller.addon.created.v1"
);
catalog_event!(
    /// A unit price was set.
    ResourcePriceSet,
    price: ResourcePrice,
    "evt.biller.resource-price.set.v1"
);
