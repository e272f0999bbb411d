//! Nothing is lost and nothing happens twice between a commit and a subscriber.

use std::sync::Arc;

use contracts::{Service, syncer::SyncVolumes};
use messaging::outbox::Draft;
use sqlx::Connection;
use test_support::{World, eventually};
use uuid::Uuid;

use crate::support::{Notes, announce, now, run_notes, run_publisher, seen, seen_at_least};

async fn unpublished(world: &World) -> i64 {
    let mut connection = world.superuser(Service::Syncer).await;
    sqlx::query_scalar!(r#"select count(*) as "count!" from outbox_unpublished"#)
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

async fn all_published(world: &World) {
    eventually("the outbox empties", || async {
        match unpublished(world).await {
            0 => Ok(()),
            left => Err(left),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_reaches_a_subscriber_once_and_in_order() {
    let world = World::start().await;
    let notes = Arc::new(Notes::default());
    let (publisher, subscriber) = (run_publisher(&world).await, run_notes(&world, Arc::clone(&notes)).await);
    let pool = world.pool(Service::Syncer).await;
    let ids: Vec<Uuid> = (0..5).map(|_| Uuid::now_v7()).collect();
    for version in 1..=20 {
        let mut tx = pool.begin().await.unwrap();
        for id in &ids {
            announce(&mut tx, *id, &id.to_string(), version..=version).await;
        }
        tx.commit().await.unwrap();
    }
    // The compacted stream may skip a version that was replaced before it was read, and must end at the last.
    let last = async |id: &Uuid| {
        let seen = seen(&world).await;
        seen.into_iter().rev().find(|(name, _)| *name == id.to_string()).map(|(_, version)| version)
    };
    for id in &ids {
        eventually("the last version arrives", || async {
            match last(id).await {
                Some(20) => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }
    let seen = seen(&world).await;
    for id in &ids {
        let versions: Vec<i64> =
            seen.iter().filter(|(name, _)| *name == id.to_string()).map(|(_, version)| *version).collect();
        assert!(versions.is_sorted_by(|a, b| a < b), "out of order or twice: {versions:?}");
    }
    publisher.stop().await;
    subscriber.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_change_is_never_told() {
    let world = World::start().await;
    let publisher = run_publisher(&world).await;
    let pool = world.pool(Service::Syncer).await;
    let mut tx = pool.begin().await.unwrap();
    announce(&mut tx, Uuid::now_v7(), "undone", 1..=1).await;
    tx.rollback().await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    announce(&mut tx, Uuid::now_v7(), "done", 1..=1).await;
    tx.commit().await.unwrap();
    all_published(&world).await;
    assert_eq!(events(&world).await, 1);
    publisher.stop().await;
}

async fn events(world: &World) -> u64 {
    let gateway = world.connect("gateway-api").await;
    let (first, last) = gateway.events_bounds().await.unwrap();
    if last == 0 { 0 } else { last + 1 - first }
}

#[tokio::test(flavor = "multi_thread")]
async fn publishers_that_die_at_any_moment_publish_each_event_once() {
    let world = World::start().await;
    let pool = world.pool(Service::Syncer).await;
    let total = 3_000;
    for start in (0..total).step_by(100) {
        let mut tx = pool.begin().await.unwrap();
        for _ in start..start + 100 {
            announce(&mut tx, Uuid::now_v7(), "one of many", 1..=1).await;
        }
        tx.commit().await.unwrap();
    }
    let mut cut = 0;
    // Each is cut off in the middle of publishing or marking; the next begins with whatever is unmarked.
    for pause_ms in [60, 75, 90, 105, 120] {
        let publisher = run_publisher(&world).await;
        tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
        publisher.abort();
        cut += i32::from((1..i64::try_from(total).unwrap()).contains(&unpublished(&world).await));
    }
    assert!(cut > 0, "no publisher was cut off in the middle");
    let (one, two) = (run_publisher(&world).await, run_publisher(&world).await);
    all_published(&world).await;
    assert_eq!(events(&world).await, total);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_publishers_keep_the_order_and_one_takes_over() {
    let world = World::start().await;
    let notes = Arc::new(Notes::default());
    let subscriber = run_notes(&world, Arc::clone(&notes)).await;
    let (one, two) = (run_publisher(&world).await, run_publisher(&world).await);
    let pool = world.pool(Service::Syncer).await;
    let id = Uuid::now_v7();
    let mut tx = pool.begin().await.unwrap();
    announce(&mut tx, id, "a", 1..=1).await;
    tx.commit().await.unwrap();
    eventually("the first arrives", async || seen_at_least(&world, 1).await).await;
    let leaders = sqlx::query_scalar!(
        r#"select count(*) as "count!" from pg_locks
           where locktype = 'advisory' and granted and classid = 2571
             and objid = (hashtext('outbox syncer')::bigint & 4294967295)::oid
             and database = (select oid from pg_database where datname = current_database())"#,
    )
    .fetch_one(&mut world.superuser(Service::Syncer).await)
    .await
    .unwrap();
    assert_eq!(leaders, 1, "publishers that lead");
    one.stop().await;
    let mut tx = pool.begin().await.unwrap();
    announce(&mut tx, id, "a", 2..=2).await;
    tx.commit().await.unwrap();
    let seen = eventually("the second arrives", async || seen_at_least(&world, 2).await).await;
    assert_eq!(seen, [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    two.stop().await;
    subscriber.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_may_be_down_at_start_and_later() {
    let mut world = World::start().await;
    world.nats.kill().await;
    let notes = Arc::new(Notes::default());
    let (publisher, subscriber) = (run_publisher(&world).await, run_notes(&world, Arc::clone(&notes)).await);
    let pool = world.pool(Service::Syncer).await;
    let id = Uuid::now_v7();
    let mut tx = pool.begin().await.unwrap();
    announce(&mut tx, id, "written while nats was down", 1..=1).await;
    tx.commit().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    world.nats.restart().await.unwrap();
    eventually("the first arrives", async || seen_at_least(&world, 1).await).await;

    world.nats.kill().await;
    for version in 2..=50 {
        let mut tx = pool.begin().await.unwrap();
        announce(&mut tx, id, "a", version..=version).await;
        tx.commit().await.unwrap();
    }
    world.nats.restart().await.unwrap();
    all_published(&world).await;
    eventually("the last arrives", || async {
        match seen(&world).await.last() {
            Some((_, 50)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    publisher.stop().await;
    subscriber.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_nats_is_rebuilt_from_the_outbox() {
    let mut world = World::start().await;
    let notes = Arc::new(Notes::default());
    let (publisher, subscriber) = (run_publisher(&world).await, run_notes(&world, Arc::clone(&notes)).await);
    let pool = world.pool(Service::Syncer).await;
    let id = Uuid::now_v7();
    let mut tx = pool.begin().await.unwrap();
    announce(&mut tx, id, "a", 1..=30).await;
    tx.commit().await.unwrap();
    all_published(&world).await;
    eventually("the last arrives", || async {
        match seen(&world).await.last() {
            Some((_, 30)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let before = seen(&world).await.len();

    world.nats.kill().await;
    world.nats.wipe().await.unwrap();
    world.nats.restart().await.unwrap();
    world.provision().await;
    assert_eq!(events(&world).await, 0);

    let mut connection = world.superuser(Service::Syncer).await;
    let mut tx = connection.begin().await.unwrap();
    assert_eq!(messaging::outbox::republish(&mut tx, None).await.unwrap(), 30);
    tx.commit().await.unwrap();
    all_published(&world).await;
    assert_eq!(events(&world).await, 30);
    // The subscriber is told again and knows that it was told.
    let mut tx = pool.begin().await.unwrap();
    announce(&mut tx, id, "a", 31..=31).await;
    tx.commit().await.unwrap();
    eventually("the next arrives", async || match seen(&world).await.last() {
        Some((_, 31)) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let told = seen(&world).await;
    assert_eq!(told.len(), before + 1, "handled again: {told:?}");
    publisher.stop().await;
    subscriber.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_pass_although_their_stream_takes_no_batches() {
    let world = World::start().await;
    let publisher = run_publisher(&world).await;
    let pool = world.pool(Service::Syncer).await;
    let mut tx = pool.begin().await.unwrap();
    let job = |_| Draft::job(Service::Syncer, &SyncVolumes {}, now()).unwrap();
    let jobs: Vec<Draft> = (0..40).map(job).collect();
    messaging::outbox::add(&mut tx, &jobs).await.unwrap();
    announce(&mut tx, Uuid::now_v7(), "behind the jobs", 1..=1).await;
    tx.commit().await.unwrap();
    all_published(&world).await;
    assert_eq!(events(&world).await, 1);
    publisher.stop().await;
}
