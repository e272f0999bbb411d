//! Servers that go away and come back.

use std::{sync::atomic::Ordering, time::Duration};

use contracts::{Service, permissions};
use serde_json::json;
use test_support::{Provider, World, provider::small_account, within};

/// What a statement counts.
pub async fn count(world: &World, service: Service, statement: &'static str) -> i64 {
    let mut superuser = world.superuser(service).await;
    sqlx::query_scalar(statement).fetch_one(&mut superuser).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_seconds_without_nats_under_writes_lose_nothing() {
    let mut world = World::start().await;
    let provider = Provider::start().await;
    let syncer = world.run(Service::Syncer, provider.environment());
    let meterer = world.run(Service::Meterer, Vec::new());
    within(Duration::from_secs(20), "syncer publishes", || async {
        if syncer.printed().contains("publishing the outbox") { Ok(()) } else { Err("not yet") }
    })
    .await;
    world.nats.kill().await;
    let pool = world.pool(Service::Syncer).await;
    let ids: Vec<uuid::Uuid> = (0..5).map(|_| uuid::Uuid::now_v7()).collect();
    let writing = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let writer = {
        let writing = std::sync::Arc::clone(&writing);
        tokio::spawn(async move {
            let mut written = 0i64;
            while writing.load(Ordering::Relaxed) {
                written += 1;
                let mut tx = pool.begin().await.unwrap();
                let event =
                    resource(ids[usize::try_from(written).unwrap() % ids.len()], (written - 1) / 5 + 1);
                let draft =
                    messaging::outbox::Draft::event(Service::Syncer, &event, chrono::Utc::now()).unwrap();
                messaging::outbox::add(&mut tx, &[draft]).await.unwrap();
                tx.commit().await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            written
        })
    };
    tokio::time::sleep(Duration::from_secs(30)).await;
    world.nats.restart().await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    writing.store(false, Ordering::Relaxed);
    let written = writer.await.unwrap();
    assert!(written > 500, "only {written} writes");
    within(Duration::from_secs(60), "the last versions arrive", async || {
        let sum = "select coalesce(sum(version), 0)::bigint from (select max(version) as version from resource_state group by resource_id) last";
        let arrived = count(&world, Service::Meterer, sum).await;
        // Each of the five is at the version of its last event.
        let expected: i64 = (written - 4..=written).map(|number| (number - 1) / 5 + 1).sum();
        if arrived == expected { Ok(()) } else { Err(format!("{arrived} of {expected}")) }
    })
    .await;
    // The stream holds each event once, and those of one resource in order.
    let mut tail = world
        .connect("gateway-api")
        .await
        .tail_events(vec!["evt.syncer.>".to_owned()], Some(0))
        .await
        .unwrap();
    let mut versions: std::collections::BTreeMap<String, i64> = std::collections::BTreeMap::new();
    for _ in 0..written {
        let event =
            tokio::time::timeout(Duration::from_secs(10), tail.next()).await.unwrap().unwrap().unwrap();
        let body: serde_json::Value = serde_json::from_slice(&event.body).unwrap();
        let version = versions.entry(body["resource"]["id"].as_str().unwrap().to_owned()).or_insert(0);
        *version += 1;
        assert_eq!(body["resource"]["version"].as_i64(), Some(*version), "at {}", event.sequence);
    }
    let (first, last) = world.connect(permissions::ADMIN).await.events_bounds().await.unwrap();
    assert_eq!(i64::try_from(last + 1 - first).unwrap(), written);
    drop((syncer, meterer));
}

/// A droplet that was found.
pub fn resource(id: uuid::Uuid, version: i64) -> contracts::syncer::ResourceDiscovered {
    let now = chrono::Utc::now();
    contracts::syncer::ResourceDiscovered {
        resource: contracts::syncer::ResourceState {
            id: contracts::ids::ResourceId::from_uuid(id),
            provider: "digitalocean".to_owned(),
            kind: contracts::syncer::ResourceKind::Droplet,
            provider_id: id.to_string(),
            name: format!("droplet-{id}"),
            status: "active".to_owned(),
            region: None,
            attrs: serde_json::Map::new(),
            cloud_project_id: None,
            tenant_id: None,
            deployment_id: None,
            first_seen_at: now,
            deleted_at: None,
            version,
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_nats_is_rebuilt_and_read_models_stay_right() {
    let mut world = World::start().await;
    let provider = Provider::start().await;
    provider.account(&small_account()).await;
    let syncer = world.run(Service::Syncer, provider.environment());
    let meterer = world.run(Service::Meterer, Vec::new());
    let tick = async |world: &World| {
        let admin = world.connect(permissions::ADMIN).await;
        messaging::provision::tick_now(&admin, &local::sources::nats_dir()).await.unwrap();
    };
    tick(&world).await;
    let droplets = "select count(distinct resource_id) from resource_state where kind = 'droplet'";
    let arrive = async |world: &World, expected: i64| {
        within(Duration::from_secs(60), "the droplets arrive", || async {
            let count = count(world, Service::Meterer, droplets).await;
            if count == expected { Ok(()) } else { Err(count) }
        })
        .await;
    };
    arrive(&world, 5).await;

    world.nats.kill().await;
    world.nats.wipe().await.unwrap();
    world.nats.restart().await.unwrap();
    world.provision().await;
    let gateway = world.connect("gateway-api").await;
    let actor =
        contracts::Actor { subject: "operator".to_owned(), tenant_id: "platform-admin".parse().unwrap() };
    let republish = contracts::outbox::RepublishOutbox { since: None, actor };
    within(Duration::from_secs(30), "syncer republishes", || async {
        let key = messaging::IdempotencyKey::parse("republish-1").unwrap();
        gateway.ask(Service::Syncer, &republish, Some(&key)).await
    })
    .await;
    within(Duration::from_secs(30), "the stream is back", || async {
        let told =
            count(&world, Service::Syncer, "select count(*) from outbox where subject like 'evt.%'").await;
        let (first, last) = gateway.events_bounds().await.map_err(|error| error.to_string())?;
        let stored = if last == 0 { 0 } else { i64::try_from(last + 1 - first).unwrap() };
        if stored == told { Ok(()) } else { Err(format!("{stored} of {told}")) }
    })
    .await;
    // A meterer that starts on nothing catches up to the same rows from the compacted stream.
    drop(meterer);
    let mut superuser = world.superuser(Service::Meterer).await;
    let rows: Vec<String> =
        sqlx::query_scalar("select resource_id::text || version::text from resource_state order by 1")
            .fetch_all(&mut superuser)
            .await
            .unwrap();
    sqlx::query("truncate resource_state, inbox").execute(&mut superuser).await.unwrap();
    world.nats.kill().await;
    world.nats.wipe().await.unwrap();
    world.nats.restart().await.unwrap();
    world.provision().await;
    let meterer = world.run(Service::Meterer, Vec::new());
    within(Duration::from_secs(30), "syncer republishes again", || async {
        let key = messaging::IdempotencyKey::parse("republish-2").unwrap();
        gateway.ask(Service::Syncer, &republish, Some(&key)).await
    })
    .await;
    arrive(&world, 5).await;
    let again: Vec<String> =
        sqlx::query_scalar("select resource_id::text || version::text from resource_state order by 1")
            .fetch_all(&mut superuser)
            .await
            .unwrap();
    assert_eq!(again, rows);
    drop((syncer, meterer));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_killed_under_syncs_comes_back_and_nothing_is_lost() {
    let mut world = World::start_alone().await;
    let provider = Provider::start().await;
    provider.account(&json!({ "droplets": 1_000 })).await;
    let syncer = world.run(Service::Syncer, provider.environment());
    let meterer = world.run(Service::Meterer, Vec::new());
    let admin = world.connect(permissions::ADMIN).await;
    messaging::provision::tick_now(&admin, &local::sources::nats_dir()).await.unwrap();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        world.own_postgres().kill().await;
        world.own_postgres().restart().await.unwrap();
    }
    within(Duration::from_secs(120), "every droplet is known to meterer", || async {
        let droplets = "select count(distinct resource_id) from resource_state where kind = 'droplet'";
        let known = count(&world, Service::Meterer, droplets).await;
        if known == 1_000 { Ok(()) } else { Err(known) }
    })
    .await;
    let doubled = "select count(*) from (select 1 from cloud_resources group by kind, provider_id having count(*) > 1) d";
    assert_eq!(count(&world, Service::Syncer, doubled).await, 0);
    let discovered = "select count(*) from cloud_resource_events where event = 'discovered' and version = 1";
    let known = count(&world, Service::Syncer, "select count(*) from cloud_resources").await;
    assert_eq!(count(&world, Service::Syncer, discovered).await, known);
    assert!(!syncer.printed().contains("panicked"));
    drop(meterer);
}
