//! The only code that writes deployments, subscriptions and their history. Everything is set-wise: a job that moves a
//! thousand deployments takes as many statements as a command that moves one.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    Actor, Service, TenantId,
    biller::{
        Deployment, DeploymentCreated, DeploymentMigrated, DeploymentState, DeploymentSubscribed,
        DeploymentTransitioned, DeploymentUpdated, Subscription,
    },
    ids::Code,
};
use messaging::outbox::{self, Draft};
use money::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::domain::deployment::{Change, Happening};

/// Who did something, and why.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// `sub` of a token, or the name of a job.
    pub subject: &'a str,
    /// Whose token; `None`: a job.
    pub tenant_id: Option<&'a TenantId>,
    /// In their own words.
    pub reason: Option<&'a str>,
}

impl<'a> By<'a> {
    /// Somebody with a token.
    pub fn actor(actor: &'a Actor, reason: Option<&'a str>) -> Self {
        Self { subject: &actor.subject, tenant_id: Some(&actor.tenant_id), reason }
    }

    /// A job.
    pub const fn job(name: &'a str) -> Self {
        Self { subject: name, tenant_id: None, reason: None }
    }
}

/// Saves a new deployment with its subscription, and tells of it; `false`, and nothing is saved: the tenant has one
/// with this slug.
pub async fn create(
    tx: &mut PgConnection,
    deployment: &Deployment,
    by: By<'_>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query!(
        "insert into biller.cloud_deployments
           (id, tenant_id, slug, display_name, region, state, llm_mode, billing_action_suspended,
            template_code, template_version, created_at, version)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         on conflict on constraint deployment_slug_once do nothing",
        deployment.id.as_uuid(),
        deployment.tenant_id.as_str(),
        deployment.slug.as_str(),
        deployment.display_name,
        deployment.region,
        deployment.state.as_str(),
        deployment.llm_mode.as_str(),
        deployment.billing_action_suspended,
        deployment.template_code.as_ref().map(Code::as_str),
        deployment.template_version,
        deployment.created_at,
        deployment.version,
    )
    .execute(&mut *tx)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(false);
    }
    if let Some(subscription) = &deployment.subscription {
        attach(tx, deployment, subscription).await?;
    }
    let created = Change { after: deployment.clone(), happening: Happening::Created };
    tell(tx, vec![created], by, now).await?;
    Ok(true)
}

/// Saves a deployment that got a new subscription, and tells of it. The caller holds the deployment's lock.
pub async fn subscribe(
    tx: &mut PgConnection,
    after: &Deployment,
    by: By<'_>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if let Some(subscription) = &after.subscription {
        attach(tx, after, subscription).await?;
    }
    save(tx, vec![Change { after: after.clone(), happening: Happening::Subscribed }], by, now).await
}

/// Saves a new subscription with its add-ons.
async fn attach(
    tx: &mut PgConnection,
    deployment: &Deployment,
    subscription: &Subscription,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into biller.subscriptions
           (id, deployment_id, tenant_id, plan_version_id, plan_code, plan_version, currency, status,
            current_period_start, current_period_end, trial_ends_at, started_at, cancelled_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        subscription.id.as_uuid(),
        deployment.id.as_uuid(),
        deployment.tenant_id.as_str(),
        subscription.plan_version_id.as_uuid(),
        subscription.plan_code.as_str(),
        subscription.plan_version,
        subscription.currency.as_str(),
        subscription.status.as_str(),
        subscription.current_period_start,
        subscription.current_period_end,
        subscription.trial_ends_at,
        subscription.started_at,
        subscription.cancelled_at,
    )
    .execute(&mut *tx)
    .await?;
    let addons = &subscription.addons;
    if addons.is_empty() {
        return Ok(());
    }
    let codes: Vec<&str> = addons.iter().map(|addon| addon.code.as_str()).collect();
    let names: Vec<&str> = addons.iter().map(|addon| addon.name.as_str()).collect();
    let kinds: Vec<&str> = addons.iter().map(|addon| addon.resource_kind.as_str()).collect();
    let quantities: Vec<Decimal> = addons.iter().map(|addon| addon.qty.get()).collect();
    let prices: Vec<i64> = addons.iter().map(|addon| addon.price_cents.get()).collect();
    sqlx::query!(
        "insert into biller.subscription_addons
           (subscription_id, position, tenant_id, code, name, resource_kind, qty, price_cents, attached_at)
         select $1, position, $2, code, name, kind, qty, price, $3
         from unnest($4::text[], $5::text[], $6::text[], $7::numeric[], $8::bigint[])
              with ordinality as addon (code, name, kind, qty, price, position)",
        subscription.id.as_uuid(),
        deployment.tenant_id.as_str(),
        subscription.started_at,
        &codes as &[&str],
        &names as &[&str],
        &kinds as &[&str],
        &quantities,
        &prices,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Saves deployments as they are after a change, with their subscriptions, and tells of them. The caller holds their
/// locks and has counted their versions.
pub async fn save(
    tx: &mut PgConnection,
    changes: Vec<Change>,
    by: By<'_>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    let after = || changes.iter().map(|change| &change.after);
    let ids: Vec<Uuid> = after().map(|deployment| deployment.id.as_uuid()).collect();
    let states: Vec<&str> = after().map(|deployment| deployment.state.as_str()).collect();
    let suspended: Vec<bool> = after().map(|deployment| deployment.billing_action_suspended).collect();
    let versions: Vec<i64> = after().map(|deployment| deployment.version).collect();
    sqlx::query!(
        "update biller.cloud_deployments d
         set state = a.state, billing_action_suspended = a.suspended, version = a.version
         from unnest($1::uuid[], $2::text[], $3::boolean[], $4::bigint[]) as a (id, state, suspended, version)
         where d.id = a.id",
        &ids,
        &states as &[&str],
        &suspended,
        &versions,
    )
    .execute(&mut *tx)
    .await?;
    let subscriptions: Vec<&Subscription> =
        after().filter_map(|deployment| deployment.subscription.as_ref()).collect();
    save_subscriptions(tx, &subscriptions).await?;
    tell(tx, changes, by, now).await
}

async fn save_subscriptions(
    tx: &mut PgConnection,
    subscriptions: &[&Subscription],
) -> Result<(), sqlx::Error> {
    if subscriptions.is_empty() {
        return Ok(());
    }
    let each = || subscriptions.iter();
    let ids: Vec<Uuid> = each().map(|subscription| subscription.id.as_uuid()).collect();
    let plan_version_ids: Vec<Uuid> =
        each().map(|subscription| subscription.plan_version_id.as_uuid()).collect();
    let plan_codes: Vec<&str> = each().map(|subscription| subscription.plan_code.as_str()).collect();
    let plan_versions: Vec<i32> = each().map(|subscription| subscription.plan_version).collect();
    let statuses: Vec<&str> = each().map(|subscription| subscription.status.as_str()).collect();
    let starts: Vec<NaiveDate> = each().map(|subscription| subscription.current_period_start).collect();
    let ends: Vec<NaiveDate> = each().map(|subscription| subscription.current_period_end).collect();
    let trials: Vec<Option<DateTime<Utc>>> = each().map(|subscription| subscription.trial_ends_at).collect();
    let cancelled: Vec<Option<DateTime<Utc>>> =
        each().map(|subscription| subscription.cancelled_at).collect();
    sqlx::query!(
        "update biller.subscriptions s
         set plan_version_id = a.plan_version_id, plan_code = a.plan_code, plan_version = a.plan_version,
             status = a.status, current_period_start = a.period_start, current_period_end = a.period_end,
             trial_ends_at = a.trial_ends_at, cancelled_at = a.cancelled_at
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::integer[], $5::text[], $6::date[], $7::date[],
                     $8::timestamptz[], $9::timestamptz[])
              as a (id, plan_version_id, plan_code, plan_version, status, period_start, period_end,
                    trial_ends_at, cancelled_at)
         where s.id = a.id",
        &ids,
        &plan_version_ids,
        &plan_codes as &[&str],
        &plan_versions,
        &statuses as &[&str],
        &starts,
        &ends,
        &trials as &[Option<DateTime<Utc>>],
        &cancelled as &[Option<DateTime<Utc>>],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Keeps which version a subscription was bound to before.
pub async fn record_migration(
    tx: &mut PgConnection,
    before: &Deployment,
    after: &Deployment,
    by: By<'_>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let (Some(from), Some(to)) = (&before.subscription, &after.subscription) else { return Ok(()) };
    sqlx::query!(
        "insert into biller.subscription_migrations
           (subscription_id, version, tenant_id, from_plan_version_id, to_plan_version_id, actor, reason, migrated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        to.id.as_uuid(),
        after.version,
        after.tenant_id.as_str(),
        from.plan_version_id.as_uuid(),
        to.plan_version_id.as_uuid(),
        by.subject,
        by.reason,
        now,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes the history of the changes, and their events.
async fn tell(
    tx: &mut PgConnection,
    changes: Vec<Change>,
    by: By<'_>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = changes.iter().map(|change| change.after.id.as_uuid()).collect();
    let versions: Vec<i64> = changes.iter().map(|change| change.after.version).collect();
    let tenants: Vec<&str> = changes.iter().map(|change| change.after.tenant_id.as_str()).collect();
    let names: Vec<&str> = changes.iter().map(|change| change.happening.as_str()).collect();
    let before: Vec<Option<&str>> =
        changes.iter().map(|change| state_before(change).map(DeploymentState::as_str)).collect();
    let after: Vec<&str> = changes.iter().map(|change| change.after.state.as_str()).collect();
    sqlx::query!(
        "insert into biller.cloud_deployment_events
           (deployment_id, version, tenant_id, event, from_state, to_state, actor, actor_tenant_id, reason, occurred_at)
         select deployment_id, version, tenant_id, event, from_state, to_state, $7, $8, $9, $10
         from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])
              as change (deployment_id, version, tenant_id, event, from_state, to_state)",
        &ids,
        &versions,
        &tenants as &[&str],
        &names as &[&str],
        &before as &[Option<&str>],
        &after as &[&str],
        by.subject,
        by.tenant_id.map(TenantId::as_str),
        by.reason,
        now,
    )
    .execute(&mut *tx)
    .await?;
    let drafts = changes.into_iter().map(|change| draft(change, now)).collect::<Result<Vec<_>, _>>()?;
    outbox::add(tx, &drafts).await?;
    Ok(())
}

fn state_before(change: &Change) -> Option<DeploymentState> {
    match change.happening {
        Happening::Created => None,
        Happening::Transitioned(from) => Some(from),
        Happening::Subscribed
        | Happening::PeriodBegun
        | Happening::Migrated
        | Happening::BillingActionChanged => Some(change.after.state),
    }
}

fn draft(change: Change, at: DateTime<Utc>) -> Result<Draft, serde_json::Error> {
    let (service, deployment) = (Service::Biller, change.after);
    match change.happening {
        Happening::Created => Draft::event(service, &DeploymentCreated { deployment }, at),
        Happening::Transitioned(_) => Draft::event(service, &DeploymentTransitioned { deployment }, at),
        Happening::Subscribed | Happening::PeriodBegun => {
            Draft::event(service, &DeploymentSubscribed { deployment }, at)
        }
        Happening::Migrated => Draft::event(service, &DeploymentMigrated { deployment }, at),
        Happening::BillingActionChanged => Draft::event(service, &DeploymentUpdated { deployment }, at),
    }
}
