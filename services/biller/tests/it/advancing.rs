//! What time does to subscriptions: trials end, periods begin. The job runs with a clock of the test's own.

use std::{collections::BTreeMap, sync::Arc};

use biller::{
    Biller,
    clock::{Clock, SystemClock},
};
use chrono::{DateTime, Datelike, Months, NaiveDate, TimeDelta, Utc};
use contracts::{
    Scope, Service,
    biller::{
        AdvanceSubscriptions, CreateDeployment, Deployment, DeploymentState, ListDeployments,
        TransitionDeployment,
    },
    ids::DeploymentId,
    paging::PageRequest,
};
use expect_test::expect;
use messaging::{
    Execute, Intended, Outcome, Perform, Received,
    outbox::{self, Draft},
};
use test_support::eventually;

use crate::{
    deployments::{create, get, history, hold, told},
    shop::{Shop, code, operator, tenant},
};

/// Stands still.
struct At(DateTime<Utc>);

impl Clock for At {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

fn biller(now: DateTime<Utc>) -> Biller {
    Biller { clock: Arc::new(At(now)), deployments_per_tenant_max: 20 }
}

/// Runs the job once, as the loop does.
async fn advance(shop: &Shop, now: DateTime<Utc>) {
    let received = Received {
        subject: String::new(),
        headers: BTreeMap::new(),
        body: Vec::new().into(),
        key: String::new(),
        deliveries: 1,
        consumer: String::new(),
    };
    let pool = shop.world.pool(Service::Biller).await;
    let mut tx = pool.begin().await.unwrap();
    let done = biller(now).intend(&mut tx, &AdvanceSubscriptions {}, &received).await.unwrap();
    assert!(matches!(done, Intended::Settled(Outcome::Done)));
    tx.commit().await.unwrap();
}

/// Carries out a command at a time of the test's own.
async fn created_at(shop: &Shop, now: DateTime<Utc>, command: CreateDeployment) -> Deployment {
    let pool = shop.world.pool(Service::Biller).await;
    let mut tx = pool.begin().await.unwrap();
    let deployment = biller(now).execute(&mut tx, command).await.unwrap();
    tx.commit().await.unwrap();
    deployment
}

fn trial(slug: &str, days: u16) -> CreateDeployment {
    CreateDeployment {
        plan_code: Some(code("studio")),
        trial_days: Some(days),
        ..create(Scope::Operator, slug)
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

async fn states(shop: &Shop, ids: &[DeploymentId]) -> Vec<DeploymentState> {
    let mut states = Vec::new();
    for id in ids {
        states.push(get(shop, Scope::Operator, *id).await.deployment.state);
    }
    states
}

async fn period(shop: &Shop, id: DeploymentId) -> (NaiveDate, NaiveDate) {
    let subscription = get(shop, Scope::Operator, id).await.deployment.subscription.unwrap();
    (subscription.current_period_start, subscription.current_period_end)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_ends_on_its_day_and_a_held_one_when_it_is_let_go() {
    use DeploymentState::{Active, Trial};
    let shop = Shop::start().await;
    shop.studio().await;
    let start = at("2026-05-04T10:00:00Z");
    let short = created_at(&shop, start, trial("short", 7)).await;
    let long = created_at(&shop, start, trial("long", 14)).await;
    let held = created_at(&shop, start, trial("held", 7)).await;
    assert_eq!(
        (short.state, short.subscription.unwrap().trial_ends_at),
        (Trial, Some(at("2026-05-11T10:00:00Z")))
    );
    shop.command(&hold(held.id, true)).await.unwrap();
    let ids = [short.id, long.id, held.id];

    advance(&shop, at("2026-05-11T09:59:59Z")).await;
    assert_eq!(states(&shop, &ids).await, [Trial, Trial, Trial]);
    advance(&shop, at("2026-05-11T10:00:00Z")).await;
    assert_eq!(states(&shop, &ids).await, [Active, Trial, Trial]);
    let before = told(&shop).await.len();
    advance(&shop, at("2026-05-11T10:00:00Z")).await;
    assert_eq!(told(&shop).await.len(), before, "a run in which nothing is due tells nobody");

    shop.command(&hold(held.id, false)).await.unwrap();
    advance(&shop, at("2026-05-12T00:00:00Z")).await;
    assert_eq!(states(&shop, &ids).await, [Active, Trial, Active]);
    let detail = get(&shop, tenant(), held.id).await;
    // Late as it was, the trial was as long as it was granted.
    let subscription = detail.deployment.subscription.as_ref().unwrap();
    assert_eq!(subscription.trial_ends_at, Some(at("2026-05-11T10:00:00Z")));
    expect![[r#"
        v1 created: - → trial by operator ()
        v2 billing_action_changed: trial → trial by operator ()
        v3 billing_action_changed: trial → trial by operator ()
        v4 transitioned: trial → active by advance-subscriptions ()
    "#]]
    .assert_eq(&history(&detail));
    let last = told(&shop).await.pop().unwrap();
    assert_eq!(last, ("evt.biller.deployment.transitioned.v1".to_owned(), detail.deployment));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_an_operator_ends_ends_then() {
    let shop = Shop::start().await;
    shop.studio().await;
    let deployment = shop.command(&trial("shop", 365)).await.unwrap();
    let activate = TransitionDeployment {
        scope: Scope::Operator,
        id: deployment.id,
        to: DeploymentState::Active,
        reason: None,
        actor: operator(),
    };
    let tenants = TransitionDeployment { scope: tenant(), ..activate.clone() };
    assert!(shop.command(&tenants).await.unwrap_err().starts_with("403"));
    let after = shop.command(&activate).await.unwrap();
    let end = after.subscription.unwrap().trial_ends_at.unwrap();
    assert!(end < deployment.created_at + TimeDelta::hours(1), "{end}");
}

#[tokio::test(flavor = "multi_thread")]
async fn periods_follow_the_calendar_and_missed_ones_are_caught_up() {
    let shop = Shop::start().await;
    shop.studio().await;
    let subscribed =
        |slug: &str| CreateDeployment { plan_code: Some(code("studio")), ..create(Scope::Operator, slug) };
    let start = at("2026-05-20T10:00:00Z");
    let running = created_at(&shop, start, subscribed("running")).await.id;
    let held = created_at(&shop, start, subscribed("held")).await.id;
    let over = created_at(&shop, start, subscribed("over")).await.id;
    let bare = created_at(&shop, start, create(Scope::Operator, "bare")).await.id;
    shop.command(&hold(held, true)).await.unwrap();
    let cancel = TransitionDeployment {
        scope: tenant(),
        id: over,
        to: DeploymentState::Cancelled,
        reason: None,
        actor: operator(),
    };
    shop.command(&cancel).await.unwrap();
    let may = (day("2026-05-01"), day("2026-06-01"));
    let june = (day("2026-06-01"), day("2026-07-01"));

    advance(&shop, at("2026-05-31T23:59:59Z")).await;
    assert_eq!(period(&shop, running).await, may);
    advance(&shop, at("2026-06-01T00:00:00Z")).await;
    advance(&shop, at("2026-06-01T00:05:00Z")).await;
    assert_eq!(period(&shop, running).await, june);
    assert_eq!((period(&shop, held).await, period(&shop, over).await), (may, may));
    assert_eq!(get(&shop, tenant(), bare).await.deployment.version, 1);

    // Seven months without a run, over a year's end; the held one is let go meanwhile.
    shop.command(&hold(held, false)).await.unwrap();
    advance(&shop, at("2027-01-15T12:00:00Z")).await;
    let january = (day("2027-01-01"), day("2027-02-01"));
    assert_eq!((period(&shop, running).await, period(&shop, held).await), (january, january));
    expect![[r#"
        v1 created: - → active by operator ()
        v2 period_begun: active → active by advance-subscriptions ()
        v3 period_begun: active → active by advance-subscriptions ()
    "#]]
    .assert_eq(&history(&get(&shop, tenant(), running).await));
    let (name, last) = told(&shop).await.into_iter().rfind(|(_, told)| told.id == running).unwrap();
    assert_eq!(name, "evt.biller.deployment.subscribed.v1");
    assert_eq!(last, get(&shop, tenant(), running).await.deployment);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_and_a_period_that_end_together_are_two_steps() {
    let shop = Shop::start().await;
    shop.studio().await;
    let deployment = created_at(&shop, at("2026-05-25T00:00:00Z"), trial("shop", 7)).await;
    advance(&shop, at("2026-06-01T00:00:00Z")).await;
    let detail = get(&shop, tenant(), deployment.id).await;
    expect![[r#"
        v1 created: - → trial by operator ()
        v2 transitioned: trial → active by advance-subscriptions ()
        v3 period_begun: active → active by advance-subscriptions ()
    "#]]
    .assert_eq(&history(&detail));
    let versions: Vec<i64> = told(&shop).await.into_iter().map(|(_, told)| told.version).collect();
    assert_eq!(versions, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_one_run_moves_is_moved_by_the_runs_it_asks_for() {
    let shop = Shop::start().await;
    shop.studio().await;
    let now = SystemClock.now();
    let pool = shop.world.pool(Service::Biller).await;
    let mut tx = pool.begin().await.unwrap();
    // Trials that are over, in a period that has passed.
    let long_ago = biller(now - TimeDelta::days(70));
    for number in 0..1_100 {
        long_ago.execute(&mut tx, trial(&format!("shop-{number}"), 1)).await.unwrap();
    }
    let job = Draft::job(Service::Biller, &AdvanceSubscriptions {}, now).unwrap();
    outbox::add(&mut tx, &[job]).await.unwrap();
    tx.commit().await.unwrap();

    let of = |state| ListDeployments {
        scope: Scope::Operator,
        state: Some(state),
        tenant_id: None,
        page: PageRequest { limit: 1, cursor: None },
    };
    eventually("all trials end", async || {
        let left = shop.query(&of(DeploymentState::Trial)).await.unwrap().items;
        if left.is_empty() { Ok(()) } else { Err("there are trials left") }
    })
    .await;
    let first = SystemClock.now().date_naive().with_day(1).unwrap();
    eventually("all periods begin", async || {
        let late = sqlx::query_scalar!(
            r#"select count(*) as "late!" from biller.subscriptions where current_period_end < $1"#,
            first + Months::new(1),
        )
        .fetch_one(&mut shop.world.superuser(Service::Biller).await)
        .await
        .unwrap();
        if late == 0 { Ok(()) } else { Err(late) }
    })
    .await;
    let events = told(&shop).await;
    assert_eq!(events.len(), 3 * 1_100);
}
