//! What the provider charges. Every amount is exact text in US dollars.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Row, nullable};
use crate::{decimal::DecimalText, text::Text};

/// The account's balance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Balance {
    /// Account balance and this month's usage together.
    pub month_to_date_balance: DecimalText,
    /// Negative is credit.
    pub account_balance: DecimalText,
    /// This month's usage so far.
    pub month_to_date_usage: DecimalText,
    /// When the provider worked it out.
    pub generated_at: DateTime<Utc>,
}

/// One row of the billing history. It has no id: tell rows apart by all of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BillingEntry {
    /// Free text.
    pub description: Text,
    /// Negative for payments.
    pub amount: DecimalText,
    /// Only of rows that are invoices.
    pub invoice_id: Option<Text>,
    /// Only of rows that are invoices.
    pub invoice_uuid: Option<Text>,
    /// When it happened.
    pub date: DateTime<Utc>,
    /// `Invoice`, `Payment`, `Credit`, …
    #[serde(rename = "type")]
    pub kind: Text,
}

impl Row for BillingEntry {
    fn key(&self) -> Option<Cow<'_, str>> {
        None
    }
}

/// A final invoice. A month can have none, or more than one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Invoice {
    /// Its identity.
    pub invoice_uuid: Text,
    /// The number on the paper.
    pub invoice_id: Option<Text>,
    /// Total.
    pub amount: DecimalText,
    /// `YYYY-MM`.
    pub invoice_period: Text,
}

impl Row for Invoice {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.invoice_uuid.as_str().into())
    }
}

/// The running month, worked out afresh every day. It is a type of its own so that nobody takes it for final.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InvoicePreview {
    /// Usable in look-ups, but not final.
    pub invoice_uuid: Option<Text>,
    /// Total so far.
    pub amount: DecimalText,
    /// `YYYY-MM`.
    pub invoice_period: Text,
    /// When the provider worked it out.
    pub updated_at: Option<DateTime<Utc>>,
}

/// One line of an invoice. It has no id, and one resource can have several lines.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InvoiceItem {
    /// What kind of thing: `Droplets`, `Taxes`, `Credits`, …
    pub product: Text,
    /// Absent on taxes, credits and subscriptions.
    pub resource_uuid: Option<Text>,
    /// A number as text. Absent on taxes, credits and subscriptions.
    pub resource_id: Option<Text>,
    /// Name of the cluster, of grouped products.
    #[serde(default, deserialize_with = "nullable")]
    pub group_description: Text,
    /// Free text that holds the resource's name.
    #[serde(default, deserialize_with = "nullable")]
    pub description: Text,
    /// Negative for credits.
    pub amount: DecimalText,
    /// How long, in `duration_unit`.
    pub duration: Option<DecimalText>,
    /// `Hours`.
    #[serde(default, deserialize_with = "nullable")]
    pub duration_unit: Text,
    /// Begin of use.
    pub start_time: Option<DateTime<Utc>>,
    /// End of use.
    pub end_time: Option<DateTime<Utc>>,
    /// Name of the project when it was billed.
    #[serde(default, deserialize_with = "nullable")]
    pub project_name: Text,
    /// `iaas`, …
    #[serde(default, deserialize_with = "nullable")]
    pub category: Text,
}

impl Row for InvoiceItem {
    fn key(&self) -> Option<Cow<'_, str>> {
        None
    }
}

/// Totals of an invoice. The customer's name and address are left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InvoiceSummary {
    /// Which invoice.
    pub invoice_uuid: Text,
    /// The number on the paper.
    pub invoice_id: Option<Text>,
    /// `YYYY-MM`.
    pub billing_period: Text,
    /// Total.
    pub amount: DecimalText,
    /// Charges by product.
    pub product_charges: Option<ChargeGroup>,
    /// Use beyond allowances.
    pub overages: Option<ChargeGroup>,
    /// Taxes.
    pub taxes: Option<ChargeGroup>,
    /// Credits and adjustments, negative.
    pub credits_and_adjustments: Option<ChargeGroup>,
}

/// A named part of an invoice's total.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChargeGroup {
    /// Display name.
    #[serde(default, deserialize_with = "nullable")]
    pub name: Text,
    /// Its sum.
    pub amount: DecimalText,
    /// What it is made of; only of product charges.
    #[serde(default, deserialize_with = "nullable")]
    pub items: Vec<ChargeItem>,
}

/// One product in a [`ChargeGroup`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChargeItem {
    /// Display name.
    pub name: Text,
    /// Its sum.
    pub amount: DecimalText,
    /// How many, as the provider writes it.
    #[serde(default, deserialize_with = "nullable")]
    pub count: Text,
}
