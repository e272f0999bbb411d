//! What cannot be handled is set aside where an operator sees it, and its neighbours pass.

use std::sync::{Arc, atomic::Ordering};

use contracts::{
    Actor, Service,
    ids::ParkedId,
    paging::{Page, PageRequest},
    parked::{
        DismissParked, GetParked, ListParked, ParkedMessage, ParkedStatus, ParkedSummary, ReplayParked,
    },
};
use messaging::{IdempotencyKey, Nats};
use test_support::{World, eventually};
use uuid::Uuid;

use crate::support::{Notes, announce, run_notes, run_publisher, seen};

fn actor() -> Actor {
    Actor { subject: "operator-1".to_owned(), tenant_id: "platform-admin".parse().unwrap() }
}

async fn parked(gateway: &Nats) -> Result<Vec<ParkedSummary>, String> {
    let query = ListParked { status: ParkedStatus::Parked, page: PageRequest::default() };
    let replied =
        gateway.ask(Service::Meterer, &query, None).await.map_err(|problem| format!("{problem:?}"))?;
    let page: Page<ParkedSummary> = serde_json::from_slice(&replied.body).unwrap();
    if page.items.is_empty() { Err("nothing is parked".to_owned()) } else { Ok(page.items) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_is_parked_and_its_neighbours_pass() {
    let world = World::start().await;
    let notes = Arc::new(Notes::default());
    let (publisher, subscriber) = (run_publisher(&world).await, run_notes(&world, Arc::clone(&notes)).await);
    let pool = world.pool(Service::Syncer).await;
    let mut tx = pool.begin().await.unwrap();
    for name in ["before", "refused", "after"] {
        announce(&mut tx, Uuid::now_v7(), name, 1..=1).await;
    }
    tx.commit().await.unwrap();

    let gateway = world.connect("gateway-api").await;
    let items = eventually("it is parked", || parked(&gateway)).await;
    let [item] = &items[..] else { panic!("{items:?}") };
    assert_eq!((item.reason.as_str(), item.service.as_str()), ("nobody wants it", "meterer"));
    eventually("the neighbours pass", || async {
        let seen = seen(&world).await;
        let names: Vec<&str> = seen.iter().map(|(name, _)| name.as_str()).collect();
        if names == ["before", "after"] { Ok(()) } else { Err(format!("{names:?}")) }
    })
    .await;

    let key = IdempotencyKey::random();
    let shown = gateway.ask(Service::Meterer, &GetParked { id: item.id }, None).await.unwrap();
    let shown: ParkedMessage = serde_json::from_slice(&shown.body).unwrap();
    assert!(shown.body.contains("refused"), "{shown:?}");
    assert_eq!(shown.headers.get("ce-type").map(String::as_str), Some("evt.syncer.resource.updated.v1"));

    let replay = ReplayParked { id: item.id, actor: actor() };
    let refused = gateway.ask(Service::Meterer, &replay, Some(&key)).await.unwrap_err();
    assert_eq!(refused.status, 409, "{refused:?}");
    let dismiss = DismissParked { id: item.id, actor: actor() };
    let first = gateway.ask(Service::Meterer, &dismiss, Some(&key)).await.unwrap();
    let again = gateway.ask(Service::Meterer, &dismiss, Some(&key)).await.unwrap();
    assert!(!first.replayed && again.replayed);
    assert_eq!(first.body, again.body);
    let settled = gateway.ask(Service::Meterer, &dismiss, Some(&IdempotencyKey::random())).await.unwrap_err();
    assert_eq!(settled.status, 409);
    let absent = GetParked { id: ParkedId::from_uuid(Uuid::now_v7()) };
    assert_eq!(gateway.ask(Service::Meterer, &absent, None).await.unwrap_err().status, 404);
    publisher.stop().await;
    subscriber.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_message_is_parked_and_replayed_once_it_can_be_handled() {
    let world = World::start().await;
    let notes = Arc::new(Notes::default());
    let (publisher, subscriber) = (run_publisher(&world).await, run_notes(&world, Arc::clone(&notes)).await);
    let mut connection = world.superuser(Service::Syncer).await;
    let id = Uuid::now_v7();
    announce(&mut connection, id, "poison", 1..=1).await;
    // What a publisher with a defect would have written.
    let good = sqlx::query_scalar!("select payload from outbox").fetch_one(&mut connection).await.unwrap();
    let gateway = world.connect("gateway-api").await;
    for bad in [&b"not json"[..], b"", b"[1]", b"{\"resource\":{}}", b"{\"resource\":null}{}"] {
        sqlx::query!(
            "with added as (
               insert into outbox (subject, headers, payload)
               values ($1, json_build_object('Nats-Msg-Id', gen_random_uuid()), $2)
               returning id
             )
             insert into outbox_unpublished select id from added",
            format!("evt.syncer.resource.updated.v1.{}", Uuid::now_v7()),
            bad,
        )
        .execute(&mut connection)
        .await
        .unwrap();
    }
    let items = eventually("all are parked", || async {
        let items = parked(&gateway).await?;
        if items.len() == 5 { Ok(items) } else { Err(format!("{} parked", items.len())) }
    })
    .await;
    eventually("the good one passes", || async {
        if seen(&world).await.len() == 1 { Ok(()) } else { Err("not yet") }
    })
    .await;

    // Mended by an operator with access to the database, then replayed.
    let mut meterer = world.superuser(Service::Meterer).await;
    sqlx::query!("update parked set payload = $1 where id = $2", good, items[0].id.as_uuid())
        .execute(&mut meterer)
        .await
        .unwrap();
    let replay = ReplayParked { id: items[0].id, actor: actor() };
    let replied = gateway.ask(Service::Meterer, &replay, Some(&IdempotencyKey::random())).await.unwrap();
    let summary: ParkedSummary = serde_json::from_slice(&replied.body).unwrap();
    assert_eq!((summary.status, summary.settled_by.as_deref()), (ParkedStatus::Replayed, Some("operator-1")));
    assert_eq!(seen(&world).await.len(), 2);
    publisher.stop().await;
    subscriber.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_handler_is_asked_again() {
    let world = World::start().await;
    let notes = Arc::new(Notes::default());
    // Twice: the batch it came in, then by itself; the third is a redelivery.
    notes.failures_left.store(2, Ordering::SeqCst);
    let (publisher, subscriber) = (run_publisher(&world).await, run_notes(&world, Arc::clone(&notes)).await);
    let pool = world.pool(Service::Syncer).await;
    let mut tx = pool.begin().await.unwrap();
    announce(&mut tx, Uuid::now_v7(), "later", 1..=1).await;
    tx.commit().await.unwrap();
    eventually("it is handled in the end", || async {
        if seen(&world).await.len() == 1 { Ok(()) } else { Err("not yet") }
    })
    .await;
    publisher.stop().await;
    subscriber.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panicking_handler_takes_nobody_with_it() {
    let world = World::start().await;
    let notes = Arc::new(Notes::default());
    let (publisher, subscriber) = (run_publisher(&world).await, run_notes(&world, notes).await);
    let pool = world.pool(Service::Syncer).await;
    for name in ["before", "panics", "after"] {
        let mut tx = pool.begin().await.unwrap();
        announce(&mut tx, Uuid::now_v7(), name, 1..=1).await;
        tx.commit().await.unwrap();
    }
    eventually("the neighbours pass", async || {
        let seen = seen(&world).await;
        let names: Vec<&str> = seen.iter().map(|(name, _)| name.as_str()).collect();
        if names == ["before", "after"] { Ok(()) } else { Err(format!("{names:?}")) }
    })
    .await;
    publisher.stop().await;
    subscriber.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_message_that_was_handled_after_all_is_not_handled_again() {
    let world = World::start().await;
    let subscriber = run_notes(&world, Arc::new(Notes::default())).await;
    let mut syncer = world.superuser(Service::Syncer).await;
    announce(&mut syncer, Uuid::now_v7(), "handled", 1..=1).await;
    let body = sqlx::query_scalar!("select payload from outbox").fetch_one(&mut syncer).await.unwrap();
    // The server did not hear that the message was parked, brought it again, and then it could be handled.
    let mut meterer = world.superuser(Service::Meterer).await;
    let id = sqlx::query_scalar!(
        "insert into parked (id, consumer, message_key, subject, headers, payload, reason, deliveries)
         values (gen_random_uuid(), 'meterer-resource-last', 'k', 's', '{}', $1, 'a test', 1) returning id",
        body,
    )
    .fetch_one(&mut meterer)
    .await
    .unwrap();
    sqlx::query!("insert into inbox (consumer, message_key) values ('meterer-resource-last', 'k')")
        .execute(&mut meterer)
        .await
        .unwrap();
    let gateway = world.connect("gateway-api").await;
    let replay = ReplayParked { id: ParkedId::from_uuid(id), actor: actor() };
    let replied = eventually("it is replayed", async || {
        gateway.ask(Service::Meterer, &replay, Some(&IdempotencyKey::random())).await
    })
    .await;
    let summary: ParkedSummary = serde_json::from_slice(&replied.body).unwrap();
    assert_eq!(summary.status, ParkedStatus::Replayed);
    assert_eq!(seen(&world).await, []);
    subscriber.stop().await;
}
