//! Publishing to a real nats-server, one that stays and one that does not.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU32;
use std::process::Stdio;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, consumer};
use contracts::ids::DeploymentId;
use contracts::llm_gateway::{PRODUCER, SEQUENCE};
use contracts::permissions::{LLM_GATEWAY, LLM_GATEWAY_ADMIN};
use futures::StreamExt;
use local::usage::{Message, Order, Pace, Plan, Published, Shares, Target};
use test_support::World;
use tokio::io::AsyncWriteExt;
use usage_publisher::publish;

fn plan(count: u64) -> Plan {
    let target = |deployment: u128, tenant: &str| Target {
        deployment_id: DeploymentId::from_uuid(uuid::Uuid::from_u128(deployment)),
        tenant_id: tenant.parse().unwrap(),
        currency: "AUD".parse().unwrap(),
    };
    Plan {
        seed: 42,
        producer: "it-1".to_owned(),
        count,
        targets: vec![target(1, "acme"), target(2, "globex")],
        shares: Shares {
            duplicates: 100,
            reordered: 50,
            conflicts: 10,
            rubbish: 20,
            corrections: 20,
            voids: 10,
        },
        until: "2026-11-24T12:00:00Z".parse().unwrap(),
        days: 2,
    }
}

/// Everything in USAGE, in its order: the producer's number, the subject, the body.
async fn stored(world: &World) -> Vec<(u64, String, Vec<u8>)> {
    let client = async_nats::ConnectOptions::new()
        .user_and_password(LLM_GATEWAY_ADMIN.to_owned(), world.nats.password(LLM_GATEWAY_ADMIN).to_owned())
        .custom_inbox_prefix(contracts::permissions::inbox_prefix(LLM_GATEWAY_ADMIN))
        .connect(world.nats.url())
        .await
        .unwrap();
    let mut stream = jetstream::new(client).get_stream("USAGE").await.unwrap();
    let count = usize::try_from(stream.info().await.unwrap().state.messages).unwrap();
    let ordered = consumer::pull::OrderedConfig::default();
    let messages = stream.create_consumer(ordered).await.unwrap().messages().await.unwrap();
    let messages: Vec<_> = messages.take(count).map(Result::unwrap).collect().await;
    let read = |message: jetstream::Message| {
        let headers = message.headers.clone().unwrap();
        assert_eq!(headers.get(PRODUCER).unwrap().as_str(), "it-1");
        assert!(
            headers.get("Nats-Msg-Id").is_none(),
            "the server must not deduplicate: it would hide conflicts"
        );
        let number = headers.get(SEQUENCE).unwrap().as_str().parse().unwrap();
        (number, message.subject.to_string(), message.payload.to_vec())
    };
    messages.into_iter().map(read).collect()
}

fn written(messages: impl Iterator<Item = Message>) -> BTreeMap<u64, (String, Vec<u8>)> {
    messages.map(|message| (message.sequence, (message.subject, message.body))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_stored_once_and_in_order() {
    let world = World::start().await;
    let nats = world.connect(LLM_GATEWAY).await;
    let plan = plan(5_000);
    let published = publish(&nats, plan.traffic().unwrap(), Pace::default(), |_| {}).await.unwrap();
    assert_eq!(published, Published { acknowledged: 5_000, repeated: 0 });
    let expected: Vec<_> = written(plan.traffic().unwrap())
        .into_iter()
        .map(|(number, (subject, body))| (number, subject, body))
        .collect();
    assert!(stored(&world).await == expected, "the stream holds something else");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_nothing_and_breaks_no_order() {
    let mut world = World::start().await;
    let nats = world.connect(LLM_GATEWAY).await;
    let plan = plan(30_000);
    // Slow enough that it dies in the middle, and with batches and single messages both.
    let pace = Pace { per_second: NonZeroU32::new(8_000), batch: 500 };
    let traffic = plan.traffic().unwrap();
    let publishing = tokio::spawn(async move { publish(&nats, traffic, pace, |_| {}).await.unwrap() });
    for pause in [300, 700, 50] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        world.nats.kill().await;
        world.nats.restart().await.unwrap();
    }
    let published = publishing.await.unwrap();
    assert_eq!(published.acknowledged, 30_000);
    assert!(published.repeated > 0, "nothing was in flight when it died");

    let mut missing = written(plan.traffic().unwrap());
    let (mut seen, mut firsts) = (HashSet::new(), Vec::new());
    for (number, subject, body) in stored(&world).await {
        if seen.insert(number) {
            let expected = missing.remove(&number);
            assert!(expected == Some((subject, body)), "message {number} is another one");
            firsts.push(number);
        }
    }
    assert!(missing.is_empty(), "{} are lost", missing.len());
    assert!(firsts.is_sorted(), "what came first did not come first");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_takes_an_order_and_says_what_it_did() {
    let world = World::start().await;
    let order = |producer: &str| {
        let plan = Plan { producer: producer.to_owned(), ..plan(100) };
        serde_json::to_vec(&Order { plan, pace: Pace::default() }).unwrap()
    };
    let run = async |order: Vec<u8>| {
        let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_usage-publisher"))
            .env("NATS_URL", world.nats.url())
            .env("NATS_USER", LLM_GATEWAY)
            .env("NATS_PASSWORD", world.nats.password(LLM_GATEWAY))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&order).await.unwrap();
        child.wait_with_output().await.unwrap()
    };
    let output = run(order("it-1")).await;
    assert!(output.status.success());
    let published: Published = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(published, Published { acknowledged: 100, repeated: 0 });
    assert_eq!(stored(&world).await.len(), 100);
    assert!(!run(order("no producer")).await.status.success());
    assert!(!run(b"{}".to_vec()).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_kept() {
    let world = World::start().await;
    let nats = world.connect(LLM_GATEWAY).await;
    let begun = Instant::now();
    let pace = Pace { per_second: NonZeroU32::new(500), batch: 500 };
    publish(&nats, plan(1_000).traffic().unwrap(), pace, |_| {}).await.unwrap();
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(1_990), "too fast: {took:?}");
    assert!(took < Duration::from_secs(6), "too slow: {took:?}");
}
