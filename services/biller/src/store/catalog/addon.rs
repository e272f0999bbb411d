//! `addons`: more of a billing kind, for a price a month.

use chrono::{DateTime, Utc};
use contracts::{biller::Addon, ids::Code};
use money::{Cents, Decimal};
use sqlx::PgConnection;

use super::{currency, parsed, quantity};

struct Row {
    code: String,
    name: String,
    resource_kind: String,
    qty: Decimal,
    price_cents: i64,
    currency: String,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Addon {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            code: parsed(row.code, "code")?,
            name: row.name,
            resource_kind: parsed(row.resource_kind, "resource_kind")?,
            qty: quantity(row.qty, "qty")?,
            price_cents: Cents::new(row.price_cents),
            currency: currency(&row.currency)?,
            created_at: row.created_at,
        })
    }
}

/// Those of the codes that there are, each once, by code.
pub async fn addons(tx: &mut PgConnection, codes: &[Code]) -> Result<Vec<Addon>, sqlx::Error> {
    if codes.is_empty() {
        return Ok(Vec::new());
    }
    let codes: Vec<&str> = codes.iter().map(Code::as_str).collect();
    let rows = sqlx::query_as!(
        Row,
        "select code, name, resource_kind, qty, price_cents, currency, created_at
         from biller.addons where code = any($1) order by code",
        &codes as &[&str],
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(Addon::try_from).collect()
}

/// The next add-ons by code.
pub async fn page(
    tx: &mut PgConnection,
    after: Option<&Code>,
    limit: i64,
) -> Result<Vec<Addon>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        "select code, name, resource_kind, qty, price_cents, currency, created_at
         from biller.addons where $1::text is null or code > $1 order by code limit $2",
        after.map(Code::as_str),
        limit,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter().map(Addon::try_from).collect()
}

/// Saves a new add-on; `false`: the code is taken.
pub async fn insert(tx: &mut PgConnection, addon: &Addon) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query!(
        "insert into biller.addons (code, name, resource_kind, qty, price_cents, currency, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (code) do nothing",
        addon.code.as_str(),
        addon.name,
        addon.resource_kind.as_str(),
        addon.qty.get(),
        addon.price_cents.get(),
        addon.currency.as_str(),
        addon.created_at,
    )
    .execute(tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}
