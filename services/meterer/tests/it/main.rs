//! What meterer keeps of the inventory, on a real Postgres and a real nats-server.

use std::collections::BTreeMap;

use contracts::{
    Message, Scope, Service,
    ids::{DeploymentId, ResourceId},
    syncer::{
        LastResource, ResourceDeleted, ResourceDiscovered, ResourceKind, ResourceState, ResourceUpdated,
    },
};
use expect_test::expect;
use messaging::{
    Handle, Outcome, Received, ScopedTx,
    outbox::{self, Draft},
    publisher,
};
use meterer::Meterer;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use test_support::{World, eventually};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const OWNER: Service = Service::Meterer;

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
    let handled = Meterer.handle(tx, LastResource { resource }, &received).await.unwrap();
    assert_eq!(handled, Outcome::Done);
}

async fn rows(tx: &mut PgConnection) -> String {
    let rows = sqlx::query!(
        r#"select resource_id, kind, name, status, size_gigabytes::text as size, deployment_id, tenant_id,
                  deleted_at::text as deleted_at, version
           from meterer.attributed_resource order by resource_id"#
    )
    .fetch_all(tx)
    .await
    .unwrap();
    let line = |row: Option<String>| row.unwrap_or_else(|| "-".to_owned());
    rows.into_iter()
        .map(|row| {
            format!(
                "{} v{}/{} {} size {} deployment {} tenant {} deleted {}\n",
                row.name,
                row.version,
                row.status,
                row.kind,
                line(row.size),
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
        resource-1 v2/status-2 snapshot size 2.36 deployment 900 tenant acme deleted -
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
        resource-1 v3/deleted snapshot size - deployment - tenant - deleted 2026-11-20 10:00:00+00
    "#]]
    .assert_eq(&rows(&mut tx).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_is_an_exact_decimal_or_unknown() {
    let world = World::start().await;
    let mut tx = world.pool(OWNER).await.begin().await.unwrap();
    let sizes = [
        json!("0.1"),
        json!("123456789012345.123456789012"),
        json!(100),
        json!("0.30000000000000004"),
        json!(2.36),
        json!(-1),
        json!("1e3"),
        json!(null),
        json!(["1"]),
    ];
    for (number, size) in (1..).zip(sizes) {
        let mut resource = resource(number, 1);
        resource.attrs.insert("size_gigabytes".to_owned(), size);
        handle(&mut tx, resource).await;
    }
    let rows = rows(&mut tx).await;
    let sizes: Vec<&str> = rows.lines().map(|row| row.split(' ').nth(4).unwrap()).collect();
    assert_eq!(sizes, ["0.1", "123456789012345.123456789012", "100", "-", "-", "-", "-", "-", "-"]);
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
