//! What biller keeps of the inventory, on a real Postgres and a real nats-server.

use std::{collections::BTreeMap, sync::Arc};

use biller::{Biller, clock::SystemClock};
use contracts::{
    Actor, Event, Message, Scope, Service,
    ids::{DeploymentId, ResourceId},
    paging::{Page, PageRequest},
    parked::{DismissParked, ListParked, ParkedStatus, ParkedSummary},
    syncer::{
        LastResource, ResourceDeleted, ResourceDiscovered, ResourceKind, ResourceState, ResourceUpdated,
    },
};
use expect_test::expect;
use messaging::{
    Handle, IdempotencyKey, Outcome, Received, ScopedTx,
    outbox::{self, Draft},
    publisher,
};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use test_support::{World, eventually};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const OWNER: Service = Service::Biller;

fn resource(number: u128, version: i64) -> ResourceState {
    ResourceState {
        id: ResourceId::from_uuid(Uuid::from_u128(number)),
        provider: "digitalocean".to_owned(),
        kind: ResourceKind::Snapshot,
        provider_id: number.to_string(),
        name: format!("resource-{number}"),
        status: format!("status-{version}"),
        region: Some("syd1".to_owned()),
        attrs: json!({ "size_gigabytes": "2.36" }).as_object().unwrap().clone(),
        cloud_project_id: None,
        tenant_id: Some("acme".parse().unwrap()),
        deployment_id: Some(DeploymentId::from_uuid(Uuid::from_u128(900))),
        first_seen_at: "2026-11-01T00:00:00Z".parse().unwrap(),
        deleted_at: None,
        version,
    }
}

async fn handle(tx: &mut PgConnection, resource: ResourceState) {
    let received = Received {
        subject: format!("{}.{}", LastResource::SUBJECT, resource.id),
        headers: BTreeMap::new(),
        body: Vec::new().into(),
        key: Uuid::new_v4().to_string(),
        deliveries: 1,
        consumer: "test".to_owned(),
    };
    let biller = Biller { clock: Arc::new(SystemClock), deployments_per_tenant_max: 20 };
    let handled = biller.handle(tx, LastResource { resource }, &received).await.unwrap();
    assert_eq!(handled, Outcome::Done);
}

async fn rows(tx: &mut PgConnection) -> String {
    let rows = sqlx::query!(
        r#"select resource_id, kind, name, status, deployment_id, tenant_id, deleted_at::text as deleted_at, version
           from biller.resource_ref order by resource_id"#
    )
    .fetch_all(tx)
    .await
    .unwrap();
    let line = |row: Option<String>| row.unwrap_or_else(|| "-".to_owned());
    rows.into_iter()
        .map(|row| {
            format!(
                "{} v{}/{} {} deployment {} tenant {} deleted {}\n",
                row.name,
                row.version,
                row.status,
                row.kind,
                line(row.deployment_id.map(|id| id.as_u128().to_string())),
                line(row.tenant_id),
                line(row.deleted_at),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_state_replaces_and_an_equal_or_older_one_changes_nothing() {
    let world = World::start().await;
    let mut tx = world.pool(OWNER).await.begin().await.unwrap();

    handle(&mut tx, resource(1, 2)).await;
    let first = rows(&mut tx).await;
    expect![[r#"
        resource-1 v2/status-2 snapshot deployment 900 tenant acme deleted -
    "#]]
    .assert_eq(&first);

    handle(&mut tx, resource(1, 1)).await;
    let mut equal = resource(1, 2);
    equal.name = "a different name".to_owned();
    handle(&mut tx, equal).await;
    assert_eq!(rows(&mut tx).await, first);

    let mut gone = resource(1, 3);
    gone.status = "deleted".to_owned();
    gone.deleted_at = Some("2026-11-20T10:00:00Z".parse().unwrap());
    gone.deployment_id = None;
    gone.tenant_id = None;
    gone.attrs.clear();
    handle(&mut tx, gone).await;
    expect![[r#"
        resource-1 v3/deleted snapshot deployment - tenant - deleted 2026-11-20 10:00:00+00
    "#]]
    .assert_eq(&rows(&mut tx).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_order_and_any_repetition_end_in_the_same_rows() {
    let world = World::start().await;
    let pool = world.pool(OWNER).await;
    let mut messages: Vec<ResourceState> =
        (1..=6).flat_map(|number| (1..=5).map(move |version| resource(number, version))).collect();
    messages.extend(messages.clone());

    let mut expected = None;
    for seed in 0..8 {
        // Rolled back at the end of each turn: every order starts from nothing.
        let mut tx = pool.begin().await.unwrap();
        if seed > 0 {
            messages.shuffle(&mut StdRng::seed_from_u64(seed));
        }
        for message in &messages {
            handle(&mut tx, message.clone()).await;
        }
        let rows = rows(&mut tx).await;
        assert_eq!(rows.lines().count(), 6, "{rows}");
        assert_eq!(&rows, expected.get_or_insert_with(|| rows.clone()), "order {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_sees_its_own_rows_alone() {
    let world = World::start().await;
    let pool = world.pool(OWNER).await;
    let mut tx = pool.begin().await.unwrap();
    handle(&mut tx, resource(1, 1)).await;
    let mut other = resource(2, 1);
    other.tenant_id = Some("globex".parse().unwrap());
    handle(&mut tx, other).await;
    let mut nobodys = resource(3, 1);
    nobodys.tenant_id = None;
    handle(&mut tx, nobodys).await;
    tx.commit().await.unwrap();

    let count = async |scope: Scope| {
        let mut tx = ScopedTx::begin(&pool, OWNER, &scope).await.unwrap();
        rows(&mut tx).await.lines().count()
    };
    assert_eq!(count(Scope::Operator).await, 3);
    assert_eq!(count(Scope::Tenant("acme".parse().unwrap())).await, 1);
    assert_eq!(count(Scope::Tenant("initech".parse().unwrap())).await, 0);
}

/// Commits events of syncer's, as syncer does.
async fn announce(syncer: &PgPool, drafts: &[Draft]) {
    let mut tx = syncer.begin().await.unwrap();
    outbox::add(&mut tx, drafts).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_started_on_an_empty_database_catches_up_and_follows() {
    let world = World::start().await;
    let syncer = world.pool(Service::Syncer).await;
    let at = "2026-11-24T00:00:00Z".parse().unwrap();
    let discovered = |number| {
        Draft::event(Service::Syncer, &ResourceDiscovered { resource: resource(number, 1) }, at).unwrap()
    };
    let updated = |number, version| {
        let event = ResourceUpdated { resource: resource(number, version), changes: Vec::new() };
        Draft::event(Service::Syncer, &event, at).unwrap()
    };
    let stop = CancellationToken::new();
    let nats = world.connect(Service::Syncer.name()).await;
    let publishing =
        tokio::spawn(publisher::run(Service::Syncer, world.database(Service::Syncer), nats, stop.clone()));

    announce(&syncer, &[discovered(1), discovered(2), updated(1, 2), updated(1, 3)]).await;
    let service = world.run(OWNER, Vec::new());
    let pool = world.pool(OWNER).await;
    let holds = async |expected: &[&str]| {
        eventually("the read model catches up", async || {
            let rows = rows(&mut pool.acquire().await.unwrap()).await;
            let states: Vec<&str> = rows.lines().filter_map(|row| row.split(' ').nth(STATE)).collect();
            if states == expected { Ok(()) } else { Err(rows) }
        })
        .await;
    };
    holds(&["v3/status-3", "v1/status-1"]).await;

    let deleted = ResourceDeleted { resource: resource(2, 2) };
    announce(&syncer, &[Draft::event(Service::Syncer, &deleted, at).unwrap(), discovered(4)]).await;
    holds(&["v3/status-3", "v2/status-2", "v1/status-1"]).await;

    let status = test_support::world::terminate(&service).await;
    assert!(status.success(), "{status}: {}", service.printed());
    stop.cancel();
    publishing.await.unwrap();
}

/// Where a row's line says version and status.
const STATE: usize = 1;

/// An event on a resource's subject whose body is no resource: what a broken publisher would send.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Poison {
    resource: String,
}

impl Message for Poison {
    const SUBJECT: &'static str = ResourceUpdated::SUBJECT;
}

impl Event for Poison {
    fn key(&self) -> Option<String> {
        Some(ResourceId::from_uuid(Uuid::from_u128(7)).to_string())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_read_is_parked_and_stops_no_other() {
    let world = World::start().await;
    let syncer = world.pool(Service::Syncer).await;
    let at = "2026-11-24T00:00:00Z".parse().unwrap();
    let stop = CancellationToken::new();
    let nats = world.connect(Service::Syncer.name()).await;
    let publishing =
        tokio::spawn(publisher::run(Service::Syncer, world.database(Service::Syncer), nats, stop.clone()));
    let poison = Draft::event(Service::Syncer, &Poison { resource: "none".to_owned() }, at).unwrap();
    let good = ResourceDiscovered { resource: resource(1, 1) };
    announce(&syncer, &[poison, Draft::event(Service::Syncer, &good, at).unwrap()]).await;

    let _service = world.run(OWNER, Vec::new());
    let gateway = world.connect(Service::GatewayApi.name()).await;
    let list = ListParked { status: ParkedStatus::Parked, page: PageRequest::default() };
    let parked = eventually("the message is parked", async || {
        let answer = gateway.ask(OWNER, &list, None).await.map_err(|problem| problem.to_string())?;
        let mut page: Page<ParkedSummary> = serde_json::from_slice(&answer.body).unwrap();
        page.items.pop().ok_or_else(|| "nothing is parked".to_owned())
    })
    .await;
    assert!(parked.reason.contains("does not fit its type"), "{}", parked.reason);
    let pool = world.pool(OWNER).await;
    eventually("the other message is handled", async || {
        let rows = rows(&mut pool.acquire().await.unwrap()).await;
        if rows.lines().count() == 1 { Ok(()) } else { Err(rows) }
    })
    .await;

    let actor = Actor { subject: "somebody".to_owned(), tenant_id: "platform-admin".parse().unwrap() };
    let dismiss = DismissParked { id: parked.id, actor };
    gateway.ask(OWNER, &dismiss, Some(&IdempotencyKey::random())).await.unwrap();
    assert_eq!(gateway.ask(OWNER, &list, None).await.unwrap().body, r#"{"items":[]}"#);
    stop.cancel();
    publishing.await.unwrap();
}
