//! `resource_prices`: unit prices for usage that no plan item covers, from a day on.

use chrono::NaiveDate;
use contracts::{biller::ResourcePrice, ids::BillingKind};
use money::{Cents, Currency};
use sqlx::PgConnection;

use super::{currency, parsed, unit};

struct Row {
    resource_kind: String,
    currency: String,
    effective_from: NaiveDate,
    unit: String,
    unit_price_cents: i64,
}

impl TryFrom<Row> for ResourcePrice {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            resource_kind: parsed(row.resource_kind, "resource_kind")?,
            unit: unit(&row.unit, "unit")?,
            unit_price_cents: Cents::new(row.unit_price_cents),
            currency: currency(&row.currency)?,
            effective_from: row.effective_from,
        })
    }
}

/// The prices of the kinds that are in force on a day, in a currency: at most one per kind, by kind.
pub async fn in_force(
    tx: &mut PgConnection,
    kinds: &[&BillingKind],
    currency: Currency,
    on: NaiveDate,
) -> Result<Vec<ResourcePrice>, sqlx::Error> {
    if kinds.is_empty() {
        return Ok(Vec::new());
    }
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    let rows = sqlx::query_as!(
        Row,
        "select distinct on (resource_kind) resource_kind, currency, effective_from, unit, unit_price_cents
         from biller.resource_prices
         where resource_kind = any($1) and currency = $2 and effective_from <= $3
         order by resource_kind, effective_from desc",
        &kinds as &[&str],
        currency.as_str(),
        on,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(ResourcePrice::try_from).collect()
}

/// Where a row stands in the listing.
pub type Place = (BillingKind, Currency, NaiveDate);

/// The next prices by kind, currency and day, past and future ones too.
pub async fn page(
    tx: &mut PgConnection,
    after: Option<&Place>,
    limit: i64,
) -> Result<Vec<ResourcePrice>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "select resource_kind, currency, effective_from, unit, unit_price_cents
         from biller.resource_prices
         where $1::text is null or (resource_kind, currency, effective_from) > ($1, $2, $3)
         order by resource_kind, currency, effective_from limit $4",
        after.map(|(kind, _, _)| kind.as_str()),
        after.map(|(_, currency, _)| currency.as_str()),
        after.map(|(_, _, day)| *day),
        limit,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(ResourcePrice::try_from).collect()
}

/// Saves a price; `false`: the day has one already.
pub async fn insert(tx: &mut PgConnection, price: &ResourcePrice) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query!(
        "insert into biller.resource_prices (resource_kind, currency, effective_from, unit, unit_price_cents)
         values ($1, $2, $3, $4, $5)
         on conflict (resource_kind, currency, effective_from) do nothing",
        price.resource_kind.as_str(),
        price.currency.as_str(),
        price.effective_from,
        price.unit.as_str(),
        price.unit_price_cents.get(),
    )
    .execute(tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}
