//! What meterer keeps of the inventory: every state of every resource, and since when.

use contracts::{
    Scope,
    syncer::{LastResource, ResourceKind, ResourceState},
};
use expect_test::expect;
use messaging::{Handle, Outcome, ScopedTx};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::json;
use sqlx::PgConnection;

use crate::lab::{self, Lab, OWNER, deleted, received};

/// A snapshot's state; each version is told an hour after the one before.
fn resource(number: u128, version: i64) -> ResourceState {
    let mut resource = lab::resource(number, ResourceKind::Snapshot, Some("2.36"));
    resource.status = format!("status-{version}");
    resource.version = version;
    resource
}

fn time(version: i64) -> String {
    format!("2026-11-24T{version:02}:00:00Z")
}

async fn handle(lab: &Lab, tx: &mut PgConnection, resource: ResourceState) {
    let at = time(resource.version);
    lab::handle(&lab.meterer, tx, resource, &at).await;
}

async fn rows(tx: &mut PgConnection) -> String {
    let rows = sqlx::query!(
        r#"select resource_id, version, kind, name, status, size_gigabytes::text as size, deployment_id, tenant_id,
                  deleted, to_char(from_at at time zone 'UTC', 'HH24:MI') as "from_at!",
                  to_char(superseded_at at time zone 'UTC', 'HH24:MI') as superseded_at
           from meterer.resource_state order by resource_id, version"#
    )
    .fetch_all(tx)
    .await
    .unwrap();
    let line = |row: Option<String>| row.unwrap_or_else(|| "-".to_owned());
    rows.into_iter()
        .map(|row| {
            format!(
                "{} v{}/{} {} size {} deployment {} tenant {} {}–{}{}\n",
                row.name,
                row.version,
                row.status,
                row.kind,
                line(row.size),
                line(row.deployment_id.map(|id| id.as_u128().to_string())),
                line(row.tenant_id),
                row.from_at,
                line(row.superseded_at),
                if row.deleted { " deleted" } else { "" },
            )
        })
        .collect()
}

const NOW: &str = "2026-11-24T12:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn every_state_is_kept_and_a_known_one_changes_nothing() {
    let lab = Lab::start(NOW).await;
    let mut tx = lab.meterer.pool.begin().await.unwrap();

    handle(&lab, &mut tx, resource(1, 2)).await;
    expect![[r#"
        resource-1 v2/status-2 snapshot size 2.36 deployment 900 tenant acme 02:00–-
    "#]]
    .assert_eq(&rows(&mut tx).await);

    handle(&lab, &mut tx, resource(1, 1)).await;
    let mut equal = resource(1, 2);
    equal.name = "a different name".to_owned();
    handle(&lab, &mut tx, equal).await;
    let mut gone = deleted(&resource(1, 2), "2026-11-24T03:00:00Z");
    gone.deployment_id = None;
    gone.tenant_id = None;
    gone.attrs.clear();
    handle(&lab, &mut tx, gone).await;
    expect![[r#"
        resource-1 v1/status-1 snapshot size 2.36 deployment 900 tenant acme 01:00–02:00
        resource-1 v2/status-2 snapshot size 2.36 deployment 900 tenant acme 02:00–03:00
        resource-1 v3/deleted snapshot size - deployment - tenant - 03:00–- deleted
    "#]]
    .assert_eq(&rows(&mut tx).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_is_an_exact_decimal_or_unknown() {
    let lab = Lab::start(NOW).await;
    let mut tx = lab.meterer.pool.begin().await.unwrap();
    let sizes = [
        json!("0.1"),
        json!("123456789.123456"),
        json!(100),
        json!("0.30000000000000004"),
        json!("1234567890"),
        json!(1_234_567_890),
        json!(2.36),
        json!(-1),
        json!("1e3"),
        json!(null),
        json!(["1"]),
    ];
    for (number, size) in (1..).zip(sizes) {
        let mut resource = resource(number, 1);
        resource.attrs.insert("size_gigabytes".to_owned(), size);
        handle(&lab, &mut tx, resource).await;
    }
    let rows = rows(&mut tx).await;
    let sizes: Vec<&str> = rows.lines().map(|row| row.split(' ').nth(4).unwrap()).collect();
    assert_eq!(sizes, ["0.1", "123456789.123456", "100", "-", "-", "-", "-", "-", "-", "-", "-"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_order_and_any_repetition_end_in_the_same_rows() {
    let lab = Lab::start(NOW).await;
    let mut messages: Vec<ResourceState> =
        (1..=6).flat_map(|number| (1..=5).map(move |version| resource(number, version))).collect();
    messages.extend(messages.clone());

    let mut expected = None;
    for seed in 0..8 {
        // Rolled back at the end of each turn: every order starts from nothing.
        let mut tx = lab.meterer.pool.begin().await.unwrap();
        if seed > 0 {
            messages.shuffle(&mut StdRng::seed_from_u64(seed));
        }
        for message in &messages {
            handle(&lab, &mut tx, message.clone()).await;
        }
        let rows = rows(&mut tx).await;
        assert_eq!(rows.lines().count(), 30, "{rows}");
        assert_eq!(&rows, expected.get_or_insert_with(|| rows.clone()), "order {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_says_no_time_is_set_aside() {
    let lab = Lab::start(NOW).await;
    let mut tx = lab.meterer.pool.begin().await.unwrap();
    for at in ["", "yesterday", "2026-11-24", "1793880000"] {
        let message = LastResource { resource: resource(1, 1) };
        let handled = lab.meterer.handle(&mut tx, message, &received("state", at)).await.unwrap();
        assert!(
            matches!(&handled, Outcome::Park(reason) if reason.contains("ce-time")),
            "{at:?}: {handled:?}"
        );
    }
    assert_eq!(rows(&mut tx).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_sees_its_own_rows_alone() {
    let lab = Lab::start(NOW).await;
    let mut tx = lab.meterer.pool.begin().await.unwrap();
    handle(&lab, &mut tx, resource(1, 1)).await;
    let mut other = resource(2, 1);
    other.tenant_id = Some("globex".parse().unwrap());
    handle(&lab, &mut tx, other).await;
    let mut nobodys = resource(3, 1);
    nobodys.tenant_id = None;
    handle(&lab, &mut tx, nobodys).await;
    tx.commit().await.unwrap();

    let count = async |scope: Scope| {
        let mut tx = ScopedTx::begin(&lab.meterer.pool, OWNER, &scope).await.unwrap();
        rows(&mut tx).await.lines().count()
    };
    assert_eq!(count(Scope::Operator).await, 3);
    assert_eq!(count(Scope::Tenant("acme".parse().unwrap())).await, 1);
    assert_eq!(count(Scope::Tenant("initech".parse().unwrap())).await, 0);
}
