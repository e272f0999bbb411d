//! Deployments as they are, and the locks that keep them so.
//!
//! Row-level security limits a tenant to its own rows; every statement says the tenant as well, for the planner and in
//! case of a mistake.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    TenantId,
    biller::{
        Deployment, DeploymentEvent, DeploymentState, LlmMode, Subscription, SubscriptionAddon,
        SubscriptionStatus,
    },
    ids::{Code, DeploymentId, PlanVersionId, SubscriptionId},
};
use money::Cents;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    domain::subscription::Offered,
    store::catalog::{self, corrupt, currency, parsed, quantity},
};

/// Events that a deployment's history shows.
const EVENTS_MAX: i64 = 100;

struct Row {
    id: Uuid,
    tenant_id: String,
    slug: String,
    display_name: String,
    region: String,
    state: String,
    llm_mode: String,
    billing_action_suspended: bool,
    template_code: Option<String>,
    template_version: Option<i32>,
    created_at: DateTime<Utc>,
    version: i64,
    // Null where there never was a subscription, as all that follows.
    subscription_id: Option<Uuid>,
    plan_version_id: Option<Uuid>,
    plan_code: Option<String>,
    plan_version: Option<i32>,
    currency: Option<String>,
    status: Option<String>,
    current_period_start: Option<NaiveDate>,
    current_period_end: Option<NaiveDate>,
    trial_ends_at: Option<DateTime<Utc>>,
    started_at: Option<DateTime<Utc>>,
    cancelled_at: Option<DateTime<Utc>>,
}

impl Row {
    fn into_deployment(
        mut self,
        addons: &mut HashMap<Uuid, Vec<SubscriptionAddon>>,
    ) -> Result<Deployment, sqlx::Error> {
        let subscription = self.subscription_id.take().map(|id| {
            let addons = addons.remove(&id).unwrap_or_default();
            self.subscription(SubscriptionId::from_uuid(id), addons)
        });
        Ok(Deployment {
            subscription: subscription.transpose()?,
            id: DeploymentId::from_uuid(self.id),
            tenant_id: parsed(self.tenant_id, "tenant_id")?,
            slug: parsed(self.slug, "slug")?,
            display_name: self.display_name,
            region: self.region,
            state: state(&self.state)?,
            llm_mode: llm_mode(&self.llm_mode)?,
            billing_action_suspended: self.billing_action_suspended,
            template_code: self.template_code.map(|code| parsed(code, "template_code")).transpose()?,
            template_version: self.template_version,
            created_at: self.created_at,
            version: self.version,
        })
    }

    fn subscription(
        &mut self,
        id: SubscriptionId,
        addons: Vec<SubscriptionAddon>,
    ) -> Result<Subscription, sqlx::Error> {
        Ok(Subscription {
            id,
            plan_code: parsed(present(self.plan_code.take(), "plan_code")?, "plan_code")?,
            plan_version_id: PlanVersionId::from_uuid(present(self.plan_version_id, "plan_version_id")?),
            plan_version: present(self.plan_version, "plan_version")?,
            currency: currency(&present(self.currency.take(), "currency")?)?,
            status: status(&present(self.status.take(), "status")?)?,
            current_period_start: present(self.current_period_start, "current_period_start")?,
            current_period_end: present(self.current_period_end, "current_period_end")?,
            trial_ends_at: self.trial_ends_at,
            started_at: present(self.started_at, "started_at")?,
            cancelled_at: self.cancelled_at,
            addons,
        })
    }
}

fn present<T>(value: Option<T>, column: &'static str) -> Result<T, sqlx::Error> {
    value.ok_or_else(|| corrupt(column))
}

fn state(text: &str) -> Result<DeploymentState, sqlx::Error> {
    text.parse().map_err(|_| corrupt("state"))
}

fn llm_mode(text: &str) -> Result<LlmMode, sqlx::Error> {
    let modes = [LlmMode::Disabled, LlmMode::Gateway, LlmMode::OwnKeys];
    modes.into_iter().find(|mode| mode.as_str() == text).ok_or_else(|| corrupt("llm_mode"))
}

fn status(text: &str) -> Result<SubscriptionStatus, sqlx::Error> {
    let statuses = [SubscriptionStatus::Active, SubscriptionStatus::Paused, SubscriptionStatus::Cancelled];
    statuses.into_iter().find(|status| status.as_str() == text).ok_or_else(|| corrupt("status"))
}

/// The deployments with these ids that a tenant may see (`None`: anyone's), in id order, each with its live
/// subscription or its last one.
pub async fn many(
    tx: &mut PgConnection,
    ids: &[DeploymentId],
    tenant_id: Option<&TenantId>,
) -> Result<Vec<Deployment>, sqlx::Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"select d.id, d.tenant_id, d.slug, d.display_name, d.region, d.state, d.llm_mode,
                  d.billing_action_suspended, d.template_code, d.template_version, d.created_at, d.version,
                  s.id as "subscription_id?", s.plan_version_id as "plan_version_id?",
                  s.plan_code as "plan_code?", s.plan_version as "plan_version?", s.currency as "currency?",
                  s.status as "status?", s.current_period_start as "current_period_start?",
                  s.current_period_end as "current_period_end?", s.trial_ends_at as "trial_ends_at?",
                  s.started_at as "started_at?", s.cancelled_at as "cancelled_at?"
           from biller.cloud_deployments d
           left join lateral (
             select * from biller.subscriptions
             where deployment_id = d.id
             order by status = 'cancelled', started_at desc, id desc limit 1
           ) s on true
           where d.id = any($1) and ($2::text is null or d.tenant_id = $2)
           order by d.id"#,
        &ids,
        tenant_id.map(TenantId::as_str),
    )
    .fetch_all(&mut *tx)
    .await?;
    let subscriptions: Vec<Uuid> = rows.iter().filter_map(|row| row.subscription_id).collect();
    let mut addons = addons(tx, &subscriptions).await?;
    rows.into_iter().map(|row| row.into_deployment(&mut addons)).collect()
}

/// What is attached to subscriptions; it never changes.
async fn addons(
    tx: &mut PgConnection,
    subscriptions: &[Uuid],
) -> Result<HashMap<Uuid, Vec<SubscriptionAddon>>, sqlx::Error> {
    let mut attached = HashMap::<Uuid, Vec<SubscriptionAddon>>::new();
    if subscriptions.is_empty() {
        return Ok(attached);
    }
    let rows = sqlx::query!(
        "select subscription_id, code, name, resource_kind, qty, price_cents, attached_at
         from biller.subscription_addons
         where subscription_id = any($1) order by subscription_id, position",
        subscriptions,
    )
    .fetch_all(tx)
    .await?;
    for row in rows {
        let addon = SubscriptionAddon {
            code: parsed(row.code, "code")?,
            name: row.name,
            resource_kind: parsed(row.resource_kind, "resource_kind")?,
            qty: quantity(row.qty, "qty")?,
            price_cents: Cents::new(row.price_cents),
            attached_at: row.attached_at,
        };
        attached.entry(row.subscription_id).or_default().push(addon);
    }
    Ok(attached)
}

/// One deployment, if the tenant may see it.
pub async fn find(
    tx: &mut PgConnection,
    id: DeploymentId,
    tenant_id: Option<&TenantId>,
) -> Result<Option<Deployment>, sqlx::Error> {
    Ok(many(tx, &[id], tenant_id).await?.pop())
}

/// Waits until nobody else changes a deployment, and reads it. Held to the end of the transaction. `None`: there is no
/// such deployment, or it is not the tenant's.
pub async fn lock(
    tx: &mut PgConnection,
    id: DeploymentId,
    tenant_id: Option<&TenantId>,
) -> Result<Option<Deployment>, sqlx::Error> {
    let locked = sqlx::query_scalar!(
        "select id from biller.cloud_deployments
         where id = $1 and ($2::text is null or tenant_id = $2)
         for no key update",
        id.as_uuid(),
        tenant_id.map(TenantId::as_str),
    )
    .fetch_optional(&mut *tx)
    .await?;
    match locked {
        Some(_) => find(tx, id, tenant_id).await,
        None => Ok(None),
    }
}

/// What the catalog has of what a subscription is to begin with.
pub async fn offered(tx: &mut PgConnection, plan: &Code, addons: &[Code]) -> Result<Offered, sqlx::Error> {
    let version = catalog::active_version(tx, plan).await?;
    Ok(Offered { version, addons: catalog::addons(tx, addons).await? })
}

/// How many deployments a tenant has that are not over. Held to the end of the transaction, so that of two that would
/// be the last allowed one is.
pub async fn lock_number(tx: &mut PgConnection, tenant_id: &TenantId) -> Result<i64, sqlx::Error> {
    sqlx::query!(
        r#"select pg_advisory_xact_lock(hashtextextended('biller.deployments.' || $1, 0)) as "locked!: ()""#,
        tenant_id.as_str(),
    )
    .fetch_one(&mut *tx)
    .await?;
    // A statement of its own sees what was committed while the lock was waited for.
    sqlx::query_scalar!(
        r#"select count(*) as "number!" from biller.cloud_deployments
           where tenant_id = $1 and state not in ('cancelled', 'archived')"#,
        tenant_id.as_str(),
    )
    .fetch_one(tx)
    .await
}

fn ids(ids: Vec<Uuid>) -> Vec<DeploymentId> {
    ids.into_iter().map(DeploymentId::from_uuid).collect()
}

/// Locks the next deployments whose trial seems to be over, at most `limit`, and reads them. What somebody else is
/// changing right now is left for the next time.
pub async fn trials_over(
    tx: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Deployment>, sqlx::Error> {
    let over = sqlx::query_scalar!(
        "select d.id from biller.cloud_deployments d
         join biller.subscriptions s on s.deployment_id = d.id and s.status <> 'cancelled'
         where d.state = 'trial' and not d.billing_action_suspended and s.trial_ends_at <= $1
         order by d.id limit $2
         for no key update of d skip locked",
        now,
        limit,
    )
    .fetch_all(&mut *tx)
    .await?;
    many(tx, &ids(over), None).await
}

/// Locks the next deployments whose subscription's period seems to have passed, at most `limit`, and reads them. What
/// somebody else is changing right now is left for the next time.
pub async fn periods_over(
    tx: &mut PgConnection,
    today: NaiveDate,
    limit: i64,
) -> Result<Vec<Deployment>, sqlx::Error> {
    let over = sqlx::query_scalar!(
        "select d.id from biller.subscriptions s
         join biller.cloud_deployments d on d.id = s.deployment_id
         where s.status <> 'cancelled' and s.current_period_end <= $1 and not d.billing_action_suspended
         order by d.id limit $2
         for no key update of d skip locked",
        today,
        limit,
    )
    .fetch_all(&mut *tx)
    .await?;
    many(tx, &ids(over), None).await
}

/// Which deployments. A tenant of the caller's scope is in `tenant_id`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// In this state only.
    pub state: Option<DeploymentState>,
    /// Of this tenant only.
    pub tenant_id: Option<&'a TenantId>,
}

/// One statement per leading filter, as one whose filters are all optional gets a plan that fits none of them.
macro_rules! page_ids {
    ($tx:expr, $leading:literal, $filter:expr, $after:expr, $limit:expr) => {
        sqlx::query_scalar!(
            "select id from biller.cloud_deployments where "
                + $leading
                + " and ($1::text is null or tenant_id = $1) and ($2::text is null or state = $2) and id > $3
                    order by id limit $4",
            $filter.tenant_id.map(TenantId::as_str),
            $filter.state.map(DeploymentState::as_str),
            $after,
            $limit,
        )
        .fetch_all(&mut *$tx)
        .await?
    };
}

/// At most `limit` deployments after `after`, oldest first.
pub async fn page(
    tx: &mut PgConnection,
    filter: Filter<'_>,
    after: Option<DeploymentId>,
    limit: i64,
) -> Result<Vec<Deployment>, sqlx::Error> {
    let after = after.map_or(Uuid::nil(), DeploymentId::as_uuid);
    let found = match filter {
        Filter { tenant_id: Some(_), .. } => page_ids!(tx, "tenant_id = $1", filter, after, limit),
        Filter { state: Some(_), .. } => page_ids!(tx, "state = $2", filter, after, limit),
        Filter { .. } => page_ids!(tx, "true", filter, after, limit),
    };
    many(tx, &ids(found), filter.tenant_id).await
}

/// Who is named in a history that a tenant reads, where it was an operator.
const OPERATOR: &str = "operator";

/// A deployment's last events up to its version, newest first. A tenant is told neither which operator did
/// something nor why.
pub async fn events(
    tx: &mut PgConnection,
    deployment: &Deployment,
    tenant_id: Option<&TenantId>,
) -> Result<Vec<DeploymentEvent>, sqlx::Error> {
    let rows = sqlx::query!(
        "select event, from_state, to_state, version, actor, actor_tenant_id, reason, occurred_at
         from biller.cloud_deployment_events
         where deployment_id = $1 and ($2::text is null or tenant_id = $2) and version <= $3
         order by version desc limit $4",
        deployment.id.as_uuid(),
        tenant_id.map(TenantId::as_str),
        deployment.version,
        EVENTS_MAX,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let hidden = match (tenant_id, &row.actor_tenant_id) {
                (Some(reader), Some(actors)) => reader.as_str() != actors,
                // A job's name is no secret, and operators see everyone's.
                (None, _) | (_, None) => false,
            };
            Ok(DeploymentEvent {
                event: row.event,
                from_state: row.from_state.as_deref().map(state).transpose()?,
                to_state: state(&row.to_state)?,
                version: row.version,
                actor: if hidden { OPERATOR.to_owned() } else { row.actor },
                // Their words are as little the tenant's as their names.
                reason: row.reason.filter(|_| !hidden),
                occurred_at: row.occurred_at,
            })
        })
        .collect()
}
