//! Deployments and their subscriptions, asked of a running biller.

use std::collections::BTreeMap;

use contracts::{
    Actor, Command, Problem, Query, Scope, Service,
    biller::{
        CreateDeployment, Deployment, DeploymentDetail, DeploymentState, GetDeployment, ListDeployments,
        LlmMode, MigrateSubscription, RepublishDeployments, SetBillingActionSuspended, SubscribeDeployment,
        SubscriptionStatus, TransitionDeployment,
    },
    ids::{DeploymentId, PlanVersionId},
    paging::PageRequest,
};
use expect_test::{Expect, expect};
use futures::future::join_all;
use messaging::{IdempotencyKey, ScopedTx};
use money::{Cents, Currency};
use uuid::Uuid;

use crate::shop::{Shop, addon, code, operator, studio_items, tenant, version};

pub fn create(scope: Scope, slug: &str) -> CreateDeployment {
    CreateDeployment {
        actor: actor(&scope),
        scope,
        tenant_id: "acme".parse().unwrap(),
        slug: slug.parse().unwrap(),
        display_name: "Shop".to_owned(),
        region: "syd1".to_owned(),
        llm_mode: LlmMode::Gateway,
        template_code: None,
        template_version: None,
        plan_code: None,
        addons: Vec::new(),
        trial_days: None,
    }
}

fn actor(scope: &Scope) -> Actor {
    match scope {
        Scope::Operator => operator(),
        Scope::Tenant(tenant) => Actor { subject: "user-1".to_owned(), tenant_id: tenant.clone() },
    }
}

fn to(scope: Scope, id: DeploymentId, to: DeploymentState) -> TransitionDeployment {
    let reason = Some(format!("because of {to}"));
    TransitionDeployment { actor: actor(&scope), scope, id, to, reason }
}

pub fn hold(id: DeploymentId, suspended: bool) -> SetBillingActionSuspended {
    SetBillingActionSuspended { id, suspended, reason: None, actor: operator() }
}

fn other_tenant() -> Scope {
    Scope::Tenant("globex".parse().unwrap())
}

pub async fn get(shop: &Shop, scope: Scope, id: DeploymentId) -> DeploymentDetail {
    shop.query(&GetDeployment { scope, id }).await.unwrap()
}

/// Gives a command and returns the refusal as it is.
async fn refused<C: Command>(shop: &Shop, command: &C) -> Problem {
    shop.gateway.command(command, &IdempotencyKey::random()).await.expect_err("a refusal")
}

/// Asks a query and returns the refusal's status and field.
async fn refused_query<Q: Query>(shop: &Shop, query: &Q) -> (u16, String) {
    let mut refusal = shop.gateway.query(query).await.expect_err("a refusal");
    (refusal.status, refusal.errors.remove(0).field)
}

/// A history, oldest first.
pub fn history(detail: &DeploymentDetail) -> String {
    let lines = detail.events.iter().rev().map(|event| {
        format!(
            "v{} {}: {} → {} by {} ({})\n",
            event.version,
            event.event,
            event.from_state.map_or("-", DeploymentState::as_str),
            event.to_state,
            event.actor,
            event.reason.as_deref().unwrap_or_default(),
        )
    });
    lines.collect()
}

/// What was told of deployments, in the outbox's order.
pub async fn told(shop: &Shop) -> Vec<(String, Deployment)> {
    let rows = sqlx::query!(
        r#"select headers->>'ce-type' as "type!", payload from biller.outbox
           where subject like 'evt.biller.deployment.%' order by id"#
    )
    .fetch_all(&mut shop.world.superuser(Service::Biller).await)
    .await
    .unwrap();
    let read = rows.into_iter().map(|row| {
        let body: serde_json::Value = serde_json::from_slice(&row.payload).unwrap();
        (row.r#type, serde_json::from_value(body["deployment"].clone()).unwrap())
    });
    read.collect()
}

/// Events tell of each deployment in the order of its versions, from 1, and end with the stored state.
async fn told_in_order(shop: &Shop) {
    let mut last = BTreeMap::<DeploymentId, Deployment>::new();
    for (_, deployment) in told(shop).await {
        let before = last.get(&deployment.id).map_or(0, |before| before.version);
        assert_eq!(deployment.version, before + 1, "{deployment:?}");
        last.insert(deployment.id, deployment);
    }
    for (id, deployment) in last {
        assert_eq!(get(shop, Scope::Operator, id).await.deployment, deployment);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_lives_its_life() {
    use DeploymentState::{Active, Archived, Cancelled, PastDue, Paused, Suspended};
    let shop = Shop::start().await;
    shop.studio().await;
    let mut command = create(tenant(), "shop");
    (command.plan_code, command.addons) = (Some(code("studio")), vec![code("storage_50gb"); 2]);
    let created = shop.command(&command).await.unwrap();
    let subscription = created.subscription.as_ref().unwrap();
    assert_eq!((created.state, created.version, subscription.addons.len()), (Active, 1, 2));
    assert_eq!(subscription.addons[0].price_cents, Cents::new(750));

    let steps = [
        (tenant(), Paused, SubscriptionStatus::Paused),
        (tenant(), Active, SubscriptionStatus::Active),
        (Scope::Operator, PastDue, SubscriptionStatus::Active),
        (Scope::Operator, Suspended, SubscriptionStatus::Active),
        (Scope::Operator, Active, SubscriptionStatus::Active),
        (tenant(), Cancelled, SubscriptionStatus::Cancelled),
        (Scope::Operator, Archived, SubscriptionStatus::Cancelled),
    ];
    for (scope, state, status) in steps {
        let after = shop.command(&to(scope, created.id, state)).await.unwrap();
        let subscription = after.subscription.as_ref().unwrap();
        assert_eq!((after.state, subscription.status), (state, status));
        assert_eq!(subscription.cancelled_at.is_some(), status == SubscriptionStatus::Cancelled);
        assert_eq!(get(&shop, tenant(), created.id).await.deployment, after);
    }
    expect![[r#"
        v1 created: - → active by user-1 ()
        v2 transitioned: active → paused by user-1 (because of paused)
        v3 transitioned: paused → active by user-1 (because of active)
        v4 transitioned: active → past_due by op-1 (because of past_due)
        v5 transitioned: past_due → suspended by op-1 (because of suspended)
        v6 transitioned: suspended → active by op-1 (because of active)
        v7 transitioned: active → cancelled by user-1 (because of cancelled)
        v8 transitioned: cancelled → archived by op-1 (because of archived)
    "#]]
    .assert_eq(&history(&get(&shop, Scope::Operator, created.id).await));
    // Which operator did something, and why, is not the tenant's business.
    expect![[r#"
        v1 created: - → active by user-1 ()
        v2 transitioned: active → paused by user-1 (because of paused)
        v3 transitioned: paused → active by user-1 (because of active)
        v4 transitioned: active → past_due by operator ()
        v5 transitioned: past_due → suspended by operator ()
        v6 transitioned: suspended → active by operator ()
        v7 transitioned: active → cancelled by user-1 (because of cancelled)
        v8 transitioned: cancelled → archived by operator ()
    "#]]
    .assert_eq(&history(&get(&shop, tenant(), created.id).await));
    told_in_order(&shop).await;
    let types: Vec<String> = told(&shop).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(types[0], "evt.biller.deployment.created.v1");
    assert_eq!(types[1..], ["evt.biller.deployment.transitioned.v1"; 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_table_refuses_changes_nothing() {
    use DeploymentState::{Active, Cancelled, PastDue, Paused, Suspended};
    let shop = Shop::start().await;
    let deployment = shop.command(&create(tenant(), "shop")).await.unwrap();
    let check = async |scope: Scope, target: DeploymentState, outcome: Expect| {
        outcome.assert_eq(&shop.command(&to(scope, deployment.id, target)).await.unwrap_err());
        assert_eq!(get(&shop, Scope::Operator, deployment.id).await.deployment, deployment);
    };
    for target in DeploymentState::ALL {
        if [PastDue, Paused, Suspended, Cancelled].contains(&target) {
            continue;
        }
        let refused = refused(&shop, &to(Scope::Operator, deployment.id, target)).await;
        let detail = &refused.errors[0].detail;
        assert_eq!((refused.status, refused.errors[0].field.as_str()), (422, "/to"));
        assert!(detail.contains(&format!("from {Active} to {target}")), "{detail}");
    }
    check(Scope::Operator, Active, expect!["422 /to: a deployment cannot go from active to active: from active it can go to past_due or paused or suspended or cancelled"]).await;
    check(tenant(), PastDue, expect!["403 Going from active to past_due is for operators. Tenants pause, resume and cancel their deployments."]).await;
    check(tenant(), Suspended, expect!["403 Going from active to suspended is for operators. Tenants pause, resume and cancel their deployments."]).await;
    let nul = TransitionDeployment { reason: Some("a\0b".to_owned()), ..to(tenant(), deployment.id, Paused) };
    expect!["422 /reason: must be 1 to 1000 characters, without control characters"]
        .assert_eq(&shop.command(&nul).await.unwrap_err());
    assert_eq!(told(&shop).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_who_pause_at_once_one_does() {
    let shop = Shop::start().await;
    for round in 1..=5 {
        let deployment = shop.command(&create(tenant(), &format!("shop-{round}"))).await.unwrap();
        let pause = to(tenant(), deployment.id, DeploymentState::Paused);
        let keys: Vec<IdempotencyKey> = (0..50).map(|_| IdempotencyKey::random()).collect();
        let answers = join_all(keys.iter().map(|key| shop.gateway.command(&pause, key))).await;
        let refusals: Vec<Problem> = answers.into_iter().filter_map(Result::err).collect();
        assert_eq!(refusals.len(), 49);
        for refusal in refusals {
            assert_eq!(refusal.status, 422, "{refusal:?}");
            assert!(refusal.errors[0].detail.contains("from paused to paused"), "{refusal:?}");
        }
        let detail = get(&shop, tenant(), deployment.id).await;
        assert_eq!((detail.events.len(), detail.deployment.version), (2, 2));
        assert_eq!(told(&shop).await.len(), 2 * round);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_at_once_make_one_line_of_history() {
    use DeploymentState::{Active, PastDue, Paused, Suspended};
    let shop = Shop::start().await;
    shop.studio().await;
    let command = CreateDeployment { plan_code: Some(code("studio")), ..create(tenant(), "shop") };
    let deployment = shop.command(&command).await.unwrap();
    let targets = [Paused, Active, PastDue, Active, Suspended];
    let steps: Vec<(TransitionDeployment, IdempotencyKey)> = (0..50)
        .map(|step| {
            let target = targets[step % targets.len()];
            (to(Scope::Operator, deployment.id, target), IdempotencyKey::random())
        })
        .collect();
    let answers = join_all(steps.iter().map(|(step, key)| shop.gateway.command(step, key))).await;
    let won = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(won >= 1, "the first step at least is allowed");
    for refusal in answers.into_iter().filter_map(Result::err) {
        assert_eq!(refusal.status, 422, "{refusal:?}");
    }

    let detail = get(&shop, Scope::Operator, deployment.id).await;
    assert_eq!(detail.events.len(), won + 1, "one event for each that won");
    let mut state = None;
    for (event, version) in detail.events.iter().rev().zip(1..) {
        assert_eq!((event.from_state, event.version), (state, version));
        state = Some(event.to_state);
    }
    assert_eq!(state, Some(detail.deployment.state));
    told_in_order(&shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_sees_its_own_and_cannot_tell_anothers_from_nothing() {
    let shop = Shop::start().await;
    let own = shop.command(&create(tenant(), "own")).await.unwrap();
    let mut command = create(other_tenant(), "theirs");
    command.tenant_id = "globex".parse().unwrap();
    let theirs = shop.command(&command).await.unwrap();
    let nothing = DeploymentId::from_uuid(Uuid::now_v7());

    let bytes = async |id: DeploymentId| {
        let query = GetDeployment { scope: tenant(), id };
        let step = to(tenant(), id, DeploymentState::Paused);
        let subscribe = SubscribeDeployment {
            scope: tenant(),
            id,
            plan_code: code("studio"),
            addons: Vec::new(),
            actor: actor(&tenant()),
        };
        let refusals = [
            shop.gateway.query(&query).await.expect_err("a refusal"),
            refused(&shop, &step).await,
            refused(&shop, &subscribe).await,
        ];
        refusals.map(|refusal| serde_json::to_string(&refusal).unwrap())
    };
    let of_theirs = bytes(theirs.id).await;
    assert_eq!(of_theirs, bytes(nothing).await);
    assert_eq!(of_theirs[0], serde_json::to_string(&Problem::not_found()).unwrap());
    assert_eq!(refused(&shop, &CreateDeployment { scope: tenant(), ..command }).await, Problem::not_found());
    assert_eq!(get(&shop, Scope::Operator, theirs.id).await.deployment, theirs);

    let list = |scope: Scope, tenant_id: Option<&str>| ListDeployments {
        scope,
        state: None,
        tenant_id: tenant_id.map(|tenant| tenant.parse().unwrap()),
        page: PageRequest::default(),
    };
    let ids = async |query: ListDeployments| {
        let items = shop.query(&query).await.unwrap().items;
        items.into_iter().map(|deployment| deployment.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(list(Scope::Operator, None)).await, [own.id, theirs.id]);
    assert_eq!(ids(list(Scope::Operator, Some("globex"))).await, [theirs.id]);
    assert_eq!(ids(list(tenant(), None)).await, [own.id]);
    assert_eq!(ids(list(tenant(), Some("globex"))).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_itself_keeps_tenants_apart_and_history_as_it_was() {
    let shop = Shop::start().await;
    let version = shop.studio().await;
    for (scope, name) in [(tenant(), "acme"), (other_tenant(), "globex")] {
        let command = CreateDeployment {
            tenant_id: name.parse().unwrap(),
            plan_code: Some(code("studio")),
            addons: vec![code("storage_50gb")],
            ..create(scope, "shop")
        };
        shop.command(&command).await.unwrap();
    }
    let dearer = shop.draft("studio", 6_000, studio_items()).await;
    shop.publish(dearer.id).await.unwrap();
    let list = ListDeployments {
        scope: Scope::Operator,
        state: None,
        tenant_id: None,
        page: PageRequest::default(),
    };
    for deployment in shop.query(&list).await.unwrap().items {
        let id = deployment.id;
        let migrate = MigrateSubscription { id, plan_version_id: dearer.id, reason: None, actor: operator() };
        shop.command(&migrate).await.unwrap();
    }
    assert_ne!(version.id, dearer.id);

    let pool = shop.world.pool(Service::Biller).await;
    let mut tx = ScopedTx::begin(&pool, Service::Biller, &tenant()).await.unwrap();
    let counts = sqlx::query!(
        r#"select (select count(*) from biller.cloud_deployments) as "deployments!",
                  (select count(*) from biller.cloud_deployment_events) as "events!",
                  (select count(*) from biller.subscriptions) as "subscriptions!",
                  (select count(*) from biller.subscription_addons) as "addons!",
                  (select count(*) from biller.subscription_migrations) as "migrations!""#
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    let counts = (counts.deployments, counts.events, counts.subscriptions, counts.addons, counts.migrations);
    assert_eq!(counts, (1, 2, 1, 1, 1));

    let mut connection = pool.acquire().await.unwrap();
    let denied = |result: Result<_, sqlx::Error>| {
        let error = result.map(|_: sqlx::postgres::PgQueryResult| ()).unwrap_err().to_string();
        assert!(error.contains("permission denied"), "{error}");
    };
    denied(
        sqlx::query!("update biller.cloud_deployment_events set actor = 'x'").execute(&mut *connection).await,
    );
    denied(
        sqlx::query!("update biller.subscription_addons set price_cents = 0").execute(&mut *connection).await,
    );
    denied(sqlx::query!("delete from biller.subscription_migrations").execute(&mut *connection).await);
    denied(sqlx::query!("delete from biller.cloud_deployments").execute(&mut *connection).await);
    denied(
        sqlx::query!("update biller.cloud_deployments set tenant_id = 'x'").execute(&mut *connection).await,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_as_many_as_it_may_however_many_it_asks_for_at_once() {
    let shop = Shop::start().await;
    // What others have does not count.
    let others = CreateDeployment { tenant_id: "globex".parse().unwrap(), ..create(other_tenant(), "shop") };
    shop.command(&others).await.unwrap();
    let asked: Vec<(CreateDeployment, IdempotencyKey)> = (0..30)
        .map(|number| (create(tenant(), &format!("shop-{number}")), IdempotencyKey::random()))
        .collect();
    let answers = join_all(asked.iter().map(|(command, key)| shop.gateway.command(command, key))).await;
    let mut created = Vec::new();
    let mut refusals = Vec::new();
    for answer in answers {
        match answer {
            Ok(replied) => created.push(serde_json::from_slice::<Deployment>(&replied.body).unwrap()),
            Err(refusal) => refusals.push(refusal),
        }
    }
    assert_eq!((created.len(), refusals.len()), (20, 10));
    for refusal in &refusals {
        assert_eq!(refusal.status, 409, "{refusal:?}");
        assert!(refusal.detail.as_ref().unwrap().contains("has 20 deployments"), "{refusal:?}");
    }
    // Operators are not limited, and what is over counts no more.
    let more = shop.command(&create(Scope::Operator, "more")).await.unwrap();
    for id in [more.id, created[0].id] {
        assert_eq!(refused(&shop, &create(tenant(), "last")).await.status, 409);
        shop.command(&to(tenant(), id, DeploymentState::Cancelled)).await.unwrap();
    }
    shop.command(&create(tenant(), "last")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slug_is_taken_once_per_tenant_and_for_ever() {
    let shop = Shop::start().await;
    let command = create(Scope::Operator, "shop");
    let keys: Vec<IdempotencyKey> = (0..20).map(|_| IdempotencyKey::random()).collect();
    let answers = join_all(keys.iter().map(|key| shop.gateway.command(&command, key))).await;
    let statuses: Vec<u16> =
        answers.iter().filter_map(|answer| Some(answer.as_ref().err()?.status)).collect();
    assert_eq!(statuses, [409; 19]);
    let list =
        ListDeployments { scope: tenant(), state: None, tenant_id: None, page: PageRequest::default() };
    let id = shop.query(&list).await.unwrap().items[0].id;
    shop.command(&to(tenant(), id, DeploymentState::Cancelled)).await.unwrap();
    expect!["409 The tenant has a deployment with the slug shop; choose another slug."]
        .assert_eq(&shop.command(&command).await.unwrap_err());
    let theirs = CreateDeployment { tenant_id: "globex".parse().unwrap(), ..command };
    shop.command(&theirs).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_creates_once() {
    let shop = Shop::start().await;
    let (command, key) = (create(tenant(), "shop"), IdempotencyKey::random());
    let answers = join_all((0..10).map(|_| shop.gateway.command(&command, &key))).await;
    let replies: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(replies.iter().filter(|reply| !reply.replayed).count(), 1);
    assert!(replies.iter().all(|reply| reply.body == replies[0].body));
    let other = shop.gateway.command(&create(tenant(), "other"), &key).await.err().unwrap();
    assert_eq!((other.status, other.errors[0].field.as_str()), (422, "Idempotency-Key"));
    assert_eq!(told(&shop).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_subscribed_to_creates_nothing() {
    let shop = Shop::start().await;
    shop.studio().await;
    shop.plan("planned", "Planned").await;
    shop.command(&addon("storage_usd", Currency::USD)).await.unwrap();
    let check = async |edit: fn(&mut CreateDeployment), outcome: Expect| {
        let mut command = create(Scope::Operator, "shop");
        edit(&mut command);
        outcome.assert_eq(&shop.command(&command).await.unwrap_err());
    };
    check(
        |c| c.plan_code = Some(code("none")),
        expect!["422 /plan_code: no plan with this code is on offer"],
    )
    .await;
    check(
        |c| c.plan_code = Some(code("planned")),
        expect!["422 /plan_code: no plan with this code is on offer"],
    )
    .await;
    check(
        |c| (c.plan_code, c.addons) = (Some(code("studio")), vec![code("storage_50gb"), code("none")]),
        expect!["422 /addons/1: there is no add-on with this code"],
    )
    .await;
    check(
        |c| (c.plan_code, c.addons) = (Some(code("studio")), vec![code("storage_usd")]),
        expect!["422 /addons/0: is sold in USD, and the plan in AUD"],
    )
    .await;
    check(
        |c| (c.plan_code, c.addons) = (Some(code("studio")), vec![code("storage_50gb"); 33]),
        expect!["422 /addons: must be at most 32"],
    )
    .await;
    check(
        |c| c.addons = vec![code("storage_50gb")],
        expect!["422 /addons: need a plan_code: add-ons are added to a plan"],
    )
    .await;
    check(|c| c.trial_days = Some(14), expect!["422 /trial_days: need a plan_code: a trial is a plan's"])
        .await;
    check(|c| c.region = "Sydney".to_owned(), expect!["422 /region: must be 1 to 32 of a–z, 0–9 and -"])
        .await;
    check(|c| c.template_version = Some(1), expect!["422 /template_version: needs a template_code"]).await;
    let trial = CreateDeployment {
        plan_code: Some(code("studio")),
        trial_days: Some(14),
        ..create(tenant(), "shop")
    };
    expect!["422 /trial_days: trials are granted by operators"]
        .assert_eq(&shop.command(&trial).await.unwrap_err());
    assert_eq!(told(&shop).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_addons_as_may_be_fit_into_an_event() {
    let shop = Shop::start().await;
    shop.studio().await;
    // As long as a name can be, in bytes of JSON.
    let mut long = addon("long", Currency::AUD);
    long.name = "𝄞".repeat(255);
    shop.command(&long).await.unwrap();
    let command = CreateDeployment {
        display_name: "𝄞".repeat(255),
        plan_code: Some(code("studio")),
        addons: vec![code("long"); 32],
        ..create(tenant(), "shop")
    };
    let deployment = shop.command(&command).await.unwrap();
    assert_eq!(deployment.subscription.unwrap().addons.len(), 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_keeps_what_it_began_with() {
    let shop = Shop::start().await;
    let first = shop.studio().await;
    let mut command = create(tenant(), "shop");
    (command.plan_code, command.addons) = (Some(code("studio")), vec![code("storage_50gb")]);
    let before = shop.command(&command).await.unwrap();

    let dearer = shop.draft("studio", 6_000, studio_items()).await;
    let dearer = shop.publish(dearer.id).await.unwrap();
    let mut storage = addon("storage_50gb_2027", Currency::AUD);
    storage.price_cents = Cents::new(900);
    shop.command(&storage).await.unwrap();
    assert_eq!(get(&shop, tenant(), before.id).await.deployment, before);
    assert_eq!(before.subscription.as_ref().unwrap().plan_version_id, first.id);

    // Whoever comes now gets the new one.
    let mut command = create(tenant(), "new");
    (command.plan_code, command.addons) = (Some(code("studio")), vec![code("storage_50gb_2027")]);
    let new = shop.command(&command).await.unwrap().subscription.unwrap();
    assert_eq!((new.plan_version_id, new.addons[0].price_cents), (dearer.id, Cents::new(900)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_is_one_operation_and_recorded() {
    let shop = Shop::start().await;
    let first = shop.studio().await;
    let mut command = create(tenant(), "shop");
    (command.plan_code, command.addons) = (Some(code("studio")), vec![code("storage_50gb")]);
    let before = shop.command(&command).await.unwrap();
    let bare = shop.command(&create(tenant(), "bare")).await.unwrap();
    let second = shop.draft("studio", 6_000, studio_items()).await;
    let migrate = |id: DeploymentId, plan_version_id: PlanVersionId| MigrateSubscription {
        id,
        plan_version_id,
        reason: Some("agreed by mail".to_owned()),
        actor: operator(),
    };
    let said = async |command: MigrateSubscription| shop.command(&command).await.unwrap_err();
    expect!["422 /plan_version_id: is a draft: publish it first"]
        .assert_eq(&said(migrate(before.id, second.id)).await);
    shop.publish(second.id).await.unwrap();
    let none = PlanVersionId::from_uuid(Uuid::now_v7());
    expect!["422 /plan_version_id: there is no such plan version"]
        .assert_eq(&said(migrate(before.id, none)).await);
    expect!["409 The subscription is bound to this version already."]
        .assert_eq(&said(migrate(before.id, first.id)).await);
    expect!["409 The deployment has no subscription that lives: subscribe it instead."]
        .assert_eq(&said(migrate(bare.id, second.id)).await);
    expect!["404 There is nothing here that you can see. Check the path and the id."]
        .assert_eq(&said(migrate(DeploymentId::from_uuid(Uuid::now_v7()), second.id)).await);
    shop.plan("studio_us", "Studio").await;
    let mut american = version("studio_us", 4_000, studio_items());
    american.currency = Currency::USD;
    let american = shop.command(&american).await.unwrap();
    shop.publish(american.id).await.unwrap();
    expect!["422 /plan_version_id: is sold in USD, and the subscription in AUD"]
        .assert_eq(&said(migrate(before.id, american.id)).await);

    let after = shop.command(&migrate(before.id, second.id)).await.unwrap();
    let (was, is) = (before.subscription.unwrap(), after.subscription.clone().unwrap());
    assert_eq!((is.id, &is.addons, is.started_at), (was.id, &was.addons, was.started_at));
    assert_eq!((is.plan_version_id, is.plan_version, after.version), (second.id, 2, 2));
    // Back to a retired version, as was agreed after all.
    shop.command(&migrate(before.id, first.id)).await.unwrap();
    expect![[r#"
        v1 created: - → active by user-1 ()
        v2 migrated: active → active by op-1 (agreed by mail)
        v3 migrated: active → active by op-1 (agreed by mail)
    "#]]
    .assert_eq(&history(&get(&shop, Scope::Operator, before.id).await));
    let rows = sqlx::query!(
        "select version, from_plan_version_id, to_plan_version_id, actor, reason
         from biller.subscription_migrations where subscription_id = $1 order by version",
        was.id.as_uuid(),
    )
    .fetch_all(&mut shop.world.superuser(Service::Biller).await)
    .await
    .unwrap();
    let rows: Vec<_> = rows
        .into_iter()
        .map(|row| (row.version, row.from_plan_version_id, row.to_plan_version_id, row.actor, row.reason))
        .collect();
    let (one, two) = (first.id.as_uuid(), second.id.as_uuid());
    let by = || ("op-1".to_owned(), Some("agreed by mail".to_owned()));
    let line = |version, from, to| {
        let (actor, reason) = by();
        (version, from, to, actor, reason)
    };
    assert_eq!(rows, [line(2, one, two), line(3, two, one)]);
    told_in_order(&shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_has_one_live_subscription() {
    let shop = Shop::start().await;
    shop.studio().await;
    let deployment = shop.command(&create(tenant(), "shop")).await.unwrap();
    assert_eq!(deployment.subscription, None);
    shop.command(&to(tenant(), deployment.id, DeploymentState::Paused)).await.unwrap();
    let subscribe = SubscribeDeployment {
        scope: tenant(),
        id: deployment.id,
        plan_code: code("studio"),
        addons: vec![code("storage_50gb")],
        actor: actor(&tenant()),
    };
    let keys: Vec<IdempotencyKey> = (0..10).map(|_| IdempotencyKey::random()).collect();
    let answers = join_all(keys.iter().map(|key| shop.gateway.command(&subscribe, key))).await;
    let statuses: Vec<u16> =
        answers.iter().filter_map(|answer| Some(answer.as_ref().err()?.status)).collect();
    assert_eq!(statuses, [409; 9]);
    let after = get(&shop, tenant(), deployment.id).await;
    // It begins as its deployment is.
    assert_eq!(after.deployment.subscription.unwrap().status, SubscriptionStatus::Paused);
    assert_eq!(after.deployment.version, 3);

    shop.command(&to(tenant(), deployment.id, DeploymentState::Cancelled)).await.unwrap();
    expect!["422 The deployment is cancelled. A subscription begins when a deployment runs, and not when it is over."].assert_eq(&shop.command(&subscribe).await.unwrap_err());
    expect![[r#"
        v1 created: - → active by user-1 ()
        v2 transitioned: active → paused by user-1 (because of paused)
        v3 subscribed: paused → paused by user-1 ()
        v4 transitioned: paused → cancelled by user-1 (because of cancelled)
    "#]]
    .assert_eq(&history(&get(&shop, tenant(), deployment.id).await));
    told_in_order(&shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holding_a_deployment_that_is_held_tells_nobody() {
    let shop = Shop::start().await;
    let deployment = shop.command(&create(tenant(), "shop")).await.unwrap();
    for (suspended, version) in [(false, 1), (true, 2), (true, 2), (false, 3)] {
        let after = shop.command(&hold(deployment.id, suspended)).await.unwrap();
        assert_eq!((after.billing_action_suspended, after.version), (suspended, version));
    }
    assert_eq!(told(&shop).await.len(), 3);
    let unknown = hold(DeploymentId::from_uuid(Uuid::now_v7()), true);
    assert_eq!(refused(&shop, &unknown).await, Problem::not_found());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_cover_everything_once_and_filters_narrow_them() {
    let shop = Shop::start().await;
    let mut created = Vec::new();
    for number in 0..5 {
        created.push(shop.command(&create(tenant(), &format!("shop-{number}"))).await.unwrap().id);
    }
    shop.command(&to(tenant(), created[3], DeploymentState::Paused)).await.unwrap();
    let list = |state: Option<DeploymentState>, limit: u16, cursor: Option<String>| ListDeployments {
        scope: tenant(),
        state,
        tenant_id: None,
        page: PageRequest { limit, cursor },
    };
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = shop.query(&list(None, 2, cursor)).await.unwrap();
        seen.extend(page.items.into_iter().map(|deployment| deployment.id));
        let Some(next) = page.next_cursor else { break };
        let elsewhere = ListDeployments { scope: Scope::Operator, ..list(None, 2, Some(next.clone())) };
        assert_eq!(refused_query(&shop, &elsewhere).await, (422, "cursor".to_owned()));
        cursor = Some(next);
    }
    assert_eq!(seen, created);
    let paused = shop.query(&list(Some(DeploymentState::Paused), 50, None)).await.unwrap().items;
    assert_eq!(paused.into_iter().map(|deployment| deployment.id).collect::<Vec<_>>(), [created[3]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_state_can_be_told_again_without_a_new_version() {
    let shop = Shop::start().await;
    shop.studio().await;
    let command = CreateDeployment { plan_code: Some(code("studio")), ..create(tenant(), "a") };
    let first = shop.command(&command).await.unwrap();
    let first = shop.command(&to(tenant(), first.id, DeploymentState::Paused)).await.unwrap();
    let second = shop.command(&create(tenant(), "b")).await.unwrap();
    let before = told(&shop).await.len();
    let republished = shop.command(&RepublishDeployments { actor: operator() }).await.unwrap();
    assert_eq!(republished.messages, 2);
    let again: Vec<(String, Deployment)> = told(&shop).await.into_iter().skip(before).collect();
    let name = || "evt.biller.deployment.updated.v1".to_owned();
    assert_eq!(again, [(name(), first), (name(), second)]);
}
