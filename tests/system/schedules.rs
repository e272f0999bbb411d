//! Schedules are nats-server's: each slot runs once however many replicas there are, and a change in `nats/` is
//! applied at the next start.

use std::{fs, time::Duration};

use contracts::{Service, permissions};
use messaging::provision;
use serde_json::{Value, json};
use test_support::{Provider, World, provider::small_account, within};

/// A copy of `nats/` in which droplets are synced every second.
fn folder(world: &World, cron: &str) -> std::path::PathBuf {
    let folder = world.folder().join("nats-data");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(local::sources::nats_dir().join("streams.json"), folder.join("streams.json")).unwrap();
    let schedules = json!({ "sync-droplets": { "cron": cron, "job": "job.syncer.droplets.sync.v1", "expires_seconds": 60 } });
    fs::write(folder.join("schedules.json"), schedules.to_string()).unwrap();
    folder
}

async fn listings(provider: &Provider) -> usize {
    let log = provider.control("GET", "/sim/log", None).await;
    let calls = log.as_array().or_else(|| log["calls"].as_array()).cloned().unwrap_or_default();
    let is_listing = |call: &&Value| {
        let path = call["path"].as_str().unwrap_or_default();
        path.starts_with("/v2/droplets?") && !path.contains("type=gpus")
    };
    calls.iter().filter(is_listing).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_run_each_slot_once() {
    let world = World::start().await;
    let provider = Provider::start().await;
    provider.account(&small_account()).await;
    let replicas = [
        world.run(Service::Syncer, provider.environment()),
        world.run(Service::Syncer, provider.environment()),
    ];
    let admin = world.connect(permissions::ADMIN).await;
    let applied = provision::apply(&admin, &folder(&world, "* * * * * *")).await.unwrap();
    assert_eq!(applied.schedules_changed, ["sync-droplets"]);

    let slots = async || -> Vec<String> {
        let mut superuser = world.superuser(Service::Syncer).await;
        sqlx::query_scalar("select message_key from inbox where consumer = 'syncer-droplets-sync'")
            .fetch_all(&mut superuser)
            .await
            .unwrap()
    };
    within(Duration::from_secs(30), "ten slots run", || async {
        let count = slots().await.len();
        if count >= 10 { Ok(()) } else { Err(count) }
    })
    .await;
    // The next start of the deploy job brings what the file says now, and only what changed.
    let applied = provision::apply(&admin, &folder(&world, "0 0 0 1 1 *")).await.unwrap();
    assert_eq!(applied.schedules_changed, ["sync-droplets"]);
    let unchanged = provision::apply(&admin, &folder(&world, "0 0 0 1 1 *")).await.unwrap();
    assert_eq!(unchanged, provision::Applied::default());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let settled = slots().await.len();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(slots().await.len(), settled, "the old schedule still ticks");
    // Every slot that ran asked the provider once, whichever replica ran it.
    assert_eq!(listings(&provider).await, settled);
    for replica in &replicas {
        assert!(!replica.printed().contains("panicked"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_comes_again_is_done_once() {
    let world = World::start().await;
    let provider = Provider::start().await;
    provider.account(&small_account()).await;
    let _syncer = world.run(Service::Syncer, provider.environment());
    let admin = async_nats::ConnectOptions::with_user_and_password(
        permissions::ADMIN.to_owned(),
        world.nats.password(permissions::ADMIN).to_owned(),
    )
    .connect(world.nats.url())
    .await
    .unwrap();
    let jetstream = async_nats::jetstream::new(admin);
    for _ in 0..3 {
        let mut headers = async_nats::HeaderMap::new();
        // The same message three times, as after the end of the server's window for duplicates. The server lets
        // nobody but itself write a slot's headers.
        headers.insert("ce-id", "0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d");
        jetstream
            .publish_with_headers("job.syncer.volumes.sync.v1", headers, "{}".into())
            .await
            .unwrap()
            .await
            .unwrap();
    }
    within(Duration::from_secs(20), "the queue empties", || async {
        let mut consumer: async_nats::jetstream::consumer::PullConsumer = jetstream
            .get_consumer_from_stream("syncer-volumes-sync", "JOBS")
            .await
            .map_err(|e| e.to_string())?;
        let info = consumer.info().await.map_err(|e| e.to_string())?;
        if info.num_pending == 0 && info.num_ack_pending == 0 { Ok(()) } else { Err(format!("{info:?}")) }
    })
    .await;
    let log = provider.control("GET", "/sim/log", None).await;
    let calls = log.as_array().or_else(|| log["calls"].as_array()).cloned().unwrap_or_default();
    let listings = calls
        .iter()
        .filter(|call| call["path"].as_str().unwrap_or_default().starts_with("/v2/volumes"))
        .count();
    assert_eq!(listings, 1, "{calls:?}");
}
