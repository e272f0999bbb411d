//! `plan_versions` with their `plan_items`.

use chrono::{DateTime, Utc};
use contracts::{
    biller::{PlanItem, PlanVersion, PlanVersionStatus},
    ids::{Code, PlanVersionId},
};
use money::{Cents, Decimal};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{corrupt, currency, parsed, quantity, unit};

/// One item of a version, or the version alone where it has none.
pub(super) struct Row {
    pub id: Uuid,
    pub plan_code: String,
    pub version: i32,
    pub status: String,
    pub base_price_cents: i64,
    pub currency: String,
    pub created_at: DateTime<Utc>,
    pub published_at: Option<DateTime<Utc>>,
    pub retired_at: Option<DateTime<Utc>>,
    pub resource_kind: Option<String>,
    pub included_qty: Option<Decimal>,
    pub overage_unit: Option<String>,
    pub overage_price_cents: Option<i64>,
    pub hard_cap_qty: Option<Decimal>,
}

/// Folds rows, those of one version beside each other, into versions with their items.
pub(super) fn fold(rows: impl IntoIterator<Item = Row>) -> Result<Vec<PlanVersion>, sqlx::Error> {
    let mut versions: Vec<PlanVersion> = Vec::new();
    for mut row in rows {
        let item = item(&mut row)?;
        match versions.last_mut() {
            Some(last) if last.id.as_uuid() == row.id => last.items.extend(item),
            _ => versions.push(PlanVersion { items: item.into_iter().collect(), ..head(row)? }),
        }
    }
    Ok(versions)
}

fn head(row: Row) -> Result<PlanVersion, sqlx::Error> {
    let statuses = [PlanVersionStatus::Draft, PlanVersionStatus::Active, PlanVersionStatus::Retired];
    let status = statuses.into_iter().find(|status| status.as_str() == row.status);
    Ok(PlanVersion {
        id: PlanVersionId::from_uuid(row.id),
        plan_code: parsed(row.plan_code, "plan_code")?,
        version: row.version,
        status: status.ok_or_else(|| corrupt("status"))?,
        base_price_cents: Cents::new(row.base_price_cents),
        currency: currency(&row.currency)?,
        items: Vec::new(),
        created_at: row.created_at,
        published_at: row.published_at,
        retired_at: row.retired_at,
    })
}

fn item(row: &mut Row) -> Result<Option<PlanItem>, sqlx::Error> {
    let (Some(kind), Some(included), Some(overage_unit), Some(price)) =
        (row.resource_kind.take(), row.included_qty, row.overage_unit.as_deref(), row.overage_price_cents)
    else {
        return Ok(None);
    };
    Ok(Some(PlanItem {
        resource_kind: parsed(kind, "resource_kind")?,
        included_qty: quantity(included, "included_qty")?,
        overage_unit: unit(overage_unit, "overage_unit")?,
        overage_price_cents: Cents::new(price),
        hard_cap_qty: row.hard_cap_qty.map(|cap| quantity(cap, "hard_cap_qty")).transpose()?,
    }))
}

/// What new subscriptions to a plan get. `None`: there is no such plan, or nothing of it was published yet.
pub async fn active_version(tx: &mut PgConnection, plan: &Code) -> Result<Option<PlanVersion>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select v.id, v.plan_code, v.version, v.status, v.base_price_cents, v.currency, v.created_at,
                  v.published_at, v.retired_at, i.resource_kind as "resource_kind?",
                  i.included_qty as "included_qty?", i.overage_unit as "overage_unit?",
                  i.overage_price_cents as "overage_price_cents?", i.hard_cap_qty
           from biller.plan_versions v left join biller.plan_items i on i.plan_version_id = v.id
           where v.plan_code = $1 and v.status = 'active'
           order by i.resource_kind"#,
        plan.as_str(),
    )
    .fetch_all(tx)
    .await?;
    Ok(fold(rows)?.pop())
}

/// A version by its id, whatever its status.
pub async fn version(tx: &mut PgConnection, id: PlanVersionId) -> Result<Option<PlanVersion>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select v.id, v.plan_code, v.version, v.status, v.base_price_cents, v.currency, v.created_at,
                  v.published_at, v.retired_at, i.resource_kind as "resource_kind?",
                  i.included_qty as "included_qty?", i.overage_unit as "overage_unit?",
                  i.overage_price_cents as "overage_price_cents?", i.hard_cap_qty
           from biller.plan_versions v left join biller.plan_items i on i.plan_version_id = v.id
           where v.id = $1
           order by i.resource_kind"#,
        id.as_uuid(),
    )
    .fetch_all(tx)
    .await?;
    Ok(fold(rows)?.pop())
}

/// Saves a draft with its items; its number was taken with [`super::plan::next_version`].
pub async fn insert_draft(tx: &mut PgConnection, draft: &PlanVersion) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into biller.plan_versions (id, plan_code, version, base_price_cents, currency, created_at)
         values ($1, $2, $3, $4, $5, $6)",
        draft.id.as_uuid(),
        draft.plan_code.as_str(),
        draft.version,
        draft.base_price_cents.get(),
        draft.currency.as_str(),
        draft.created_at,
    )
    .execute(&mut *tx)
    .await?;
    let items = &draft.items;
    let kinds: Vec<&str> = items.iter().map(|item| item.resource_kind.as_str()).collect();
    let included: Vec<Decimal> = items.iter().map(|item| item.included_qty.get()).collect();
    let units: Vec<&str> = items.iter().map(|item| item.overage_unit.as_str()).collect();
    let prices: Vec<i64> = items.iter().map(|item| item.overage_price_cents.get()).collect();
    let caps: Vec<Option<Decimal>> =
        items.iter().map(|item| item.hard_cap_qty.map(|cap| cap.get())).collect();
    sqlx::query!(
        "insert into biller.plan_items
           (plan_version_id, resource_kind, included_qty, overage_unit, overage_price_cents, hard_cap_qty)
         select $1, kind, included, unit, price, cap
         from unnest($2::text[], $3::numeric[], $4::text[], $5::bigint[], $6::numeric[])
              as item (kind, included, unit, price, cap)",
        draft.id.as_uuid(),
        &kinds as &[&str],
        &included,
        &units as &[&str],
        &prices,
        &caps as &[Option<Decimal>],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Retires what is on offer of a plan and offers a draft of it. The caller holds the plan's lock and has seen that
/// it is a draft. Readers see neither before the commit and both after it.
pub async fn publish(
    tx: &mut PgConnection,
    plan: &Code,
    draft: PlanVersionId,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    // Two statements: the index that allows one active version is checked row by row, in any order. Never earlier
    // than what came before, whatever the clocks of two replicas say.
    sqlx::query!(
        "update biller.plan_versions set status = 'retired', retired_at = greatest($2, published_at)
         where plan_code = $1 and status = 'active'",
        plan.as_str(),
        now,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "update biller.plan_versions set status = 'active', published_at = greatest($2, created_at)
         where id = $1 and status = 'draft'",
        draft.as_uuid(),
        now,
    )
    .execute(tx)
    .await?;
    Ok(())
}
