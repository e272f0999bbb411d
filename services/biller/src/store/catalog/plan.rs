//! `plans`: the stable thing, whose versions change.

use chrono::{DateTime, Utc};
use contracts::{
    biller::{Plan, PlanDetail, PlanVersion},
    ids::{Code, PlanVersionId},
};
use money::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    parsed,
    version::{Row, fold},
};

/// Versions that one answer shows of a plan, counted from the newest: what one message carries, however many items
/// they have. The active one is always shown.
const VERSIONS_SHOWN: i32 = 100;

/// One item of a version of a plan, one version without items, or a plan without versions.
struct PlanRow {
    code: String,
    name: String,
    plan_created_at: DateTime<Utc>,
    last_version: i32,
    id: Option<Uuid>,
    version: Option<i32>,
    status: Option<String>,
    base_price_cents: Option<i64>,
    currency: Option<String>,
    created_at: Option<DateTime<Utc>>,
    published_at: Option<DateTime<Utc>>,
    retired_at: Option<DateTime<Utc>>,
    resource_kind: Option<String>,
    included_qty: Option<Decimal>,
    overage_unit: Option<String>,
    overage_price_cents: Option<i64>,
    hard_cap_qty: Option<Decimal>,
}

impl PlanRow {
    /// The version's part; `None` where there is no version.
    fn version(self) -> Option<Row> {
        Some(Row {
            id: self.id?,
            plan_code: self.code,
            version: self.version?,
            status: self.status?,
            base_price_cents: self.base_price_cents?,
            currency: self.currency?,
            created_at: self.created_at?,
            published_at: self.published_at,
            retired_at: self.retired_at,
            resource_kind: self.resource_kind,
            included_qty: self.included_qty,
            overage_unit: self.overage_unit,
            overage_price_cents: self.overage_price_cents,
            hard_cap_qty: self.hard_cap_qty,
        })
    }
}

/// A plan and those of its versions that were read, newest first.
struct Found {
    name: String,
    created_at: DateTime<Utc>,
    last_version: i32,
    versions: Vec<PlanVersion>,
}

/// Folds rows, those of one plan beside each other.
fn plans(rows: Vec<PlanRow>) -> Result<Vec<(Code, Found)>, sqlx::Error> {
    let mut plans: Vec<(Code, Found)> = Vec::new();
    let mut rows = rows.into_iter().peekable();
    while let Some(first) = rows.peek() {
        let code: Code = parsed(first.code.clone(), "code")?;
        let (name, created_at, last_version) =
            (first.name.clone(), first.plan_created_at, first.last_version);
        let own = std::iter::from_fn(|| rows.next_if(|row| row.code == code.as_str()));
        let versions = fold(own.filter_map(PlanRow::version))?;
        plans.push((code, Found { name, created_at, last_version, versions }));
    }
    Ok(plans)
}

fn offered((code, mut found): (Code, Found)) -> Plan {
    Plan { code, name: found.name, created_at: found.created_at, active_version: found.versions.pop() }
}

/// The next plans by code, each with its active version: one statement, so that no publication falls between.
pub async fn page(tx: &mut PgConnection, after: Option<&Code>, limit: i64) -> Result<Vec<Plan>, sqlx::Error> {
    let rows = sqlx::query_as!(
        PlanRow,
        r#"select p.code, p.name, p.created_at as plan_created_at, p.last_version,
                  v.id as "id?", v.version as "version?", v.status as "status?",
                  v.base_price_cents as "base_price_cents?", v.currency as "currency?",
                  v.created_at as "created_at?", v.published_at, v.retired_at,
                  i.resource_kind as "resource_kind?", i.included_qty as "included_qty?",
                  i.overage_unit as "overage_unit?", i.overage_price_cents as "overage_price_cents?",
                  i.hard_cap_qty
           from (select code, name, created_at, last_version from biller.plans
                 where $1::text is null or code > $1 order by code limit $2) p
             left join biller.plan_versions v on v.plan_code = p.code and v.status = 'active'
             left join biller.plan_items i on i.plan_version_id = v.id
           order by p.code, i.resource_kind"#,
        after.map(Code::as_str),
        limit,
    )
    .fetch_all(tx)
    .await?;
    Ok(plans(rows)?.into_iter().map(offered).collect())
}

/// A plan with its active version.
pub async fn find(tx: &mut PgConnection, code: &Code) -> Result<Option<Plan>, sqlx::Error> {
    let rows = sqlx::query_as!(
        PlanRow,
        r#"select p.code, p.name, p.created_at as plan_created_at, p.last_version,
                  v.id as "id?", v.version as "version?", v.status as "status?",
                  v.base_price_cents as "base_price_cents?", v.currency as "currency?",
                  v.created_at as "created_at?", v.published_at, v.retired_at,
                  i.resource_kind as "resource_kind?", i.included_qty as "included_qty?",
                  i.overage_unit as "overage_unit?", i.overage_price_cents as "overage_price_cents?",
                  i.hard_cap_qty
           from biller.plans p
             left join biller.plan_versions v on v.plan_code = p.code and v.status = 'active'
             left join biller.plan_items i on i.plan_version_id = v.id
           where p.code = $1
           order by i.resource_kind"#,
        code.as_str(),
    )
    .fetch_all(tx)
    .await?;
    Ok(plans(rows)?.pop().map(offered))
}

/// A plan with its newest versions and the active one, newest first; `drafts`: whether drafts are among them.
pub async fn detail(
    tx: &mut PgConnection,
    code: &Code,
    drafts: bool,
) -> Result<Option<PlanDetail>, sqlx::Error> {
    let rows = sqlx::query_as!(
        PlanRow,
        r#"select p.code, p.name, p.created_at as plan_created_at, p.last_version,
                  v.id as "id?", v.version as "version?", v.status as "status?",
                  v.base_price_cents as "base_price_cents?", v.currency as "currency?",
                  v.created_at as "created_at?", v.published_at, v.retired_at,
                  i.resource_kind as "resource_kind?", i.included_qty as "included_qty?",
                  i.overage_unit as "overage_unit?", i.overage_price_cents as "overage_price_cents?",
                  i.hard_cap_qty
           from biller.plans p
             left join biller.plan_versions v on v.plan_code = p.code
               and ($2 or v.status <> 'draft') and (v.version > p.last_version - $3 or v.status = 'active')
             left join biller.plan_items i on i.plan_version_id = v.id
           where p.code = $1
           order by v.version desc, i.resource_kind"#,
        code.as_str(),
        drafts,
        VERSIONS_SHOWN,
    )
    .fetch_all(tx)
    .await?;
    Ok(plans(rows)?.pop().map(|(code, found)| PlanDetail {
        code,
        name: found.name,
        created_at: found.created_at,
        versions: found.versions,
        older_left_out: found.last_version > VERSIONS_SHOWN,
    }))
}

/// Saves a new plan; `false`: the code is taken.
pub async fn insert(tx: &mut PgConnection, plan: &Plan) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query!(
        "insert into biller.plans (code, name, created_at) values ($1, $2, $3) on conflict (code) do nothing",
        plan.code.as_str(),
        plan.name,
        plan.created_at,
    )
    .execute(tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Locks the plan to the end of the transaction and takes the number of its next version. `None`: no such plan.
pub async fn next_version(tx: &mut PgConnection, code: &Code) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_scalar!(
        "update biller.plans set last_version = last_version + 1 where code = $1 returning last_version",
        code.as_str(),
    )
    .fetch_optional(tx)
    .await
}

/// Locks the plan of a version to the end of the transaction: its versions change one at a time. `false`: there is
/// no such version.
pub async fn lock_of(tx: &mut PgConnection, version: PlanVersionId) -> Result<bool, sqlx::Error> {
    let locked = sqlx::query_scalar!(
        "select code from biller.plans
         where code = (select plan_code from biller.plan_versions where id = $1) for update",
        version.as_uuid(),
    )
    .fetch_optional(tx)
    .await?;
    Ok(locked.is_some())
}
