//! A followed stream counts each message once, in order, whoever dies.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use contracts::{Service, permissions, streams::Stream};
use messaging::{
    Follow, HandlerError, Outcome, Position, Received, Subscriptions,
    batch::{self, Outgoing},
};
use sqlx::{PgConnection, Row};
use test_support::{World, eventually, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Running, run, run_over};

/// Notes the bodies it is given; the names of some are orders.
#[derive(Default)]
struct Diary {
    failures_left: AtomicU32,
}

impl Follow for Diary {
    type Batch = Vec<String>;

    fn read(&self, messages: &[Received]) -> Vec<String> {
        let bodies: Vec<String> =
            messages.iter().map(|message| String::from_utf8_lossy(&message.body).into_owned()).collect();
        assert!(!bodies.iter().any(|body| body == "panics"), "asked to panic");
        bodies
    }

    async fn take(&self, tx: &mut PgConnection, batch: Vec<String>) -> Result<Vec<Outcome>, HandlerError> {
        let mut outcomes = Vec::new();
        for body in batch {
            if body == "fails" && self.failures_left.load(Ordering::SeqCst) > 0 {
                self.failures_left.fetch_sub(1, Ordering::SeqCst);
                return Err(std::io::Error::other("asked to fail").into());
            }
            if let Some(thing) = body.strip_prefix("waits for ") {
                outcomes.push(Outcome::Await { reason: "not yet".to_owned(), thing: thing.to_owned() });
                continue;
            }
            sqlx::query("insert into diary (body) values ($1)").bind(&body).execute(&mut *tx).await?;
            outcomes.push(Outcome::Done);
        }
        Ok(outcomes)
    }

    async fn position(&self, tx: &mut PgConnection) -> Result<Option<Position>, HandlerError> {
        let row = sqlx::query("select created_at, place from diary_position").fetch_optional(tx).await?;
        row.map(|row| {
            let place: i64 = row.try_get(1)?;
            Ok(Position { stream_created_at: row.try_get(0)?, sequence: place.unsigned_abs() })
        })
        .transpose()
    }

    async fn advance(
        &self,
        tx: &mut PgConnection,
        from: Option<Position>,
        to: Position,
    ) -> Result<bool, HandlerError> {
        let place = |position: Position| i64::try_from(position.sequence).unwrap();
        let moved = match from {
            None => sqlx::query("insert into diary_position (one, created_at, place) values (true, $1, $2) on conflict do nothing")
                .bind(to.stream_created_at)
                .bind(place(to)),
            Some(from) => {
                sqlx::query("update diary_position set created_at = $1, place = $2 where created_at = $3 and place = $4")
                    .bind(to.stream_created_at)
                    .bind(place(to))
                    .bind(from.stream_created_at)
                    .bind(place(from))
            }
        };
        Ok(moved.execute(tx).await?.rows_affected() == 1)
    }
}

async fn prepare(world: &World) {
    sqlx::raw_sql(
        "create table diary (place bigint generated always as identity, body text);
         create table diary_position (one boolean primary key, created_at timestamptz, place bigint);
         grant select, insert, update on diary, diary_position to meterer",
    )
    .execute(&mut world.superuser(Service::Meterer).await)
    .await
    .unwrap();
}

async fn start(world: &World) -> Running {
    follow(world, Diary::default()).await
}

async fn follow(world: &World, diary: Diary) -> Running {
    let table = Subscriptions::new(Service::Meterer).follows(Stream::Usage, &[]);
    run(world, Service::Meterer, table, Arc::new(diary)).await
}

async fn follow_through(world: &World, url: String) -> Running {
    let table = Subscriptions::new(Service::Meterer).follows(Stream::Usage, &[]);
    run_over(world, Service::Meterer, table, Arc::new(Diary::default()), url).await
}

async fn publish(world: &World, bodies: impl IntoIterator<Item = String>) {
    let nats = world.connect(permissions::LLM_GATEWAY).await;
    let messages: Vec<Outgoing> = bodies
        .into_iter()
        .map(|body| {
            let subject = "evt.llm-gateway.usage.recorded.v1.acme".to_owned();
            Outgoing::new(subject, std::collections::BTreeMap::new(), body.into())
        })
        .collect();
    for chunk in messages.chunks(batch::BATCH_MAX) {
        batch::publish(&nats, chunk.to_vec()).await.unwrap();
    }
}

fn numbered(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

async fn diary(world: &World) -> Vec<String> {
    let mut superuser = world.superuser(Service::Meterer).await;
    sqlx::query_scalar("select body from diary order by place").fetch_all(&mut superuser).await.unwrap()
}

async fn holds(world: &World, expected: &[String]) {
    eventually("the diary is complete", async || {
        let diary = diary(world).await;
        if diary.len() >= expected.len() { Ok(()) } else { Err(diary.len()) }
    })
    .await;
    assert_eq!(diary(world).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_taken_once_and_in_order_over_restarts() {
    let world = World::start().await;
    prepare(&world).await;
    publish(&world, numbered(0..2500)).await;
    let first = start(&world).await;
    eventually("some of it is taken", async || if diary(&world).await.is_empty() { Err(()) } else { Ok(()) })
        .await;
    first.abort();
    let second = start(&world).await;
    publish(&world, numbered(2500..2510)).await;
    holds(&world, &numbered(0..2510)).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_followers_one_leads_and_the_other_takes_over() {
    let world = World::start().await;
    prepare(&world).await;
    let (one, two) = (start(&world).await, start(&world).await);
    publish(&world, numbered(0..100)).await;
    holds(&world, &numbered(0..100)).await;
    one.stop().await;
    publish(&world, numbered(100..200)).await;
    holds(&world, &numbered(0..200)).await;
    two.stop().await;
    publish(&world, numbered(200..210)).await;
    let three = start(&world).await;
    holds(&world, &numbered(0..210)).await;
    three.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_set_aside_and_the_rest_goes_on() {
    let world = World::start().await;
    prepare(&world).await;
    let diary = Diary { failures_left: AtomicU32::new(2) };
    let bodies = ["a", "panics", "b", "waits for rain", "waits for rain", "fails", "c"].map(str::to_owned);
    publish(&world, bodies).await;
    let follower = follow(&world, diary).await;
    holds(&world, &["a", "b", "fails", "c"].map(str::to_owned)).await;
    let mut superuser = world.superuser(Service::Meterer).await;
    let parked: Vec<(String, Option<String>, String)> = sqlx::query_as(
        "select convert_from(payload, 'UTF8'), waits_for, consumer from meterer.parked order by id",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    let expected = [
        ("panics".to_owned(), None, "meterer-usage".to_owned()),
        // Published twice, it is set aside once.
        ("waits for rain".to_owned(), Some("rain".to_owned()), "meterer-usage".to_owned()),
    ];
    assert_eq!(parked, expected);

    let pool = world.pool(Service::Meterer).await;
    let mut tx = pool.begin().await.unwrap();
    let waiting = messaging::parked::waiting_for(&mut tx, "rain", 10).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].1.body, "waits for rain");
    messaging::parked::release(&mut tx, &[waiting[0].0], "rain").await.unwrap();
    assert!(messaging::parked::waiting_for(&mut tx, "rain", 10).await.unwrap().is_empty());
    tx.commit().await.unwrap();
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_and_a_wiped_stream_are_followed_again() {
    let mut world = World::start().await;
    prepare(&world).await;
    let follower = start(&world).await;
    publish(&world, numbered(0..50)).await;
    holds(&world, &numbered(0..50)).await;
    world.nats.kill().await;
    world.nats.restart().await.unwrap();
    publish(&world, numbered(50..100)).await;
    holds(&world, &numbered(0..100)).await;

    world.nats.wipe().await.unwrap();
    world.nats.restart().await.unwrap();
    world.provision().await;
    publish(&world, numbered(100..110)).await;
    holds(&world, &numbered(0..110)).await;
    follower.stop().await;
}

/// Asks the server for something as its administrator, over a connection of the test's own: what no client of ours sends.
async fn raw(world: &World, user: &str, bytes: &[u8]) {
    let address = format!("127.0.0.1:{}", world.nats.port());
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let connect = serde_json::json!({
        "user": user, "pass": world.nats.password(user), "verbose": false, "headers": true,
    });
    let mut sent = format!("CONNECT {connect}\r\n").into_bytes();
    sent.extend_from_slice(bytes);
    sent.extend_from_slice(b"PING\r\n");
    socket.write_all(&sent).await.unwrap();
    let mut heard = String::new();
    while !heard.contains("PONG") {
        let mut buffer = [0; 4096];
        let read = socket.read(&mut buffer).await.unwrap();
        assert!(read > 0, "hung up after {heard}");
        heard.push_str(&String::from_utf8_lossy(&buffer[..read]));
        assert!(!heard.contains("-ERR"), "{heard}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_no_client_can_receive_stop_nobody() {
    let world = World::start().await;
    prepare(&world).await;
    let follower = start(&world).await;
    publish(&world, numbered(0..5)).await;
    holds(&world, &numbered(0..5)).await;
    let subject = "evt.llm-gateway.usage.recorded.v1.";
    let mut bytes = format!("PUB {subject}a\0b 4\r\nnull\r\n").into_bytes();
    bytes.extend_from_slice(format!("PUB {subject}").as_bytes());
    bytes.extend_from_slice(b"\xff 4\r\nbyte\r\n");
    bytes.extend_from_slice(format!("HPUB {subject}x 26 30\r\n").as_bytes());
    bytes.extend_from_slice(b"NATS/1.0\r\nbad name: \xff1\r\n\r\nhead\r\n");
    raw(&world, permissions::LLM_GATEWAY, &bytes).await;
    publish(&world, numbered(5..10)).await;
    // The body of the first is read like any other; whether its subject is good is the service's to say.
    let expected: Vec<String> =
        numbered(0..5).into_iter().chain(["null".to_owned()]).chain(numbered(5..10)).collect();
    within(Duration::from_secs(60), "the rest arrives", async || {
        let diary = diary(&world).await;
        if diary.len() >= expected.len() { Ok(()) } else { Err(diary.len()) }
    })
    .await;
    assert_eq!(diary(&world).await, expected);
    let mut superuser = world.superuser(Service::Meterer).await;
    let mut parked: Vec<String> =
        sqlx::query_scalar("select convert_from(payload, 'UTF8') from meterer.parked")
            .fetch_all(&mut superuser)
            .await
            .unwrap();
    parked.sort();
    assert_eq!(parked, ["byte", "head"]);
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_lost_its_end_is_read_again_and_a_real_gap_is_passed() {
    let world = World::start().await;
    prepare(&world).await;
    publish(&world, numbered(0..20)).await;
    let follower = start(&world).await;
    holds(&world, &numbered(0..20)).await;
    follower.stop().await;
    // As after a backup was put back: our position is ahead of the stream.
    sqlx::query("update meterer.diary_position set place = 40")
        .execute(&mut world.superuser(Service::Meterer).await)
        .await
        .unwrap();
    let follower = start(&world).await;
    let again: Vec<String> = numbered(0..20).into_iter().chain(numbered(0..20)).collect();
    holds(&world, &again).await;
    follower.stop().await;
    // Messages deleted while nobody read.
    publish(&world, numbered(20..30)).await;
    let admin = permissions::LLM_GATEWAY_ADMIN;
    let options = async_nats::ConnectOptions::new()
        .user_and_password(admin.to_owned(), world.nats.password(admin).to_owned());
    let client = options.connect(world.nats.url()).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream(Stream::Usage.name()).await.unwrap();
    for sequence in [25, 26, 27] {
        stream.delete_message(sequence).await.unwrap();
    }
    let follower = start(&world).await;
    let rest = [20, 21, 22, 23, 27, 28, 29].map(|number: u32| number.to_string());
    holds(&world, &again.into_iter().chain(rest).collect::<Vec<_>>()).await;
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_with_a_living_server_loses_nothing() {
    let world = World::start().await;
    prepare(&world).await;
    let (address, cut) = proxy(world.nats.port()).await;
    let follower = follow_through(&world, address).await;
    let mut published = 0;
    for _ in 0..8 {
        publish(&world, numbered(published..published + 300)).await;
        published += 300;
        // In the middle of a delivery, and then quiet.
        cut.notify_waiters();
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    holds(&world, &numbered(0..published)).await;
    follower.stop().await;
}

/// A way to the server that can be cut while the server lives.
async fn proxy(port: u16) -> (String, Arc<tokio::sync::Notify>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("nats://{}", listener.local_addr().unwrap());
    let cut = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&cut);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let told = Arc::clone(&told);
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                    () = told.notified() => {}
                }
            });
        }
    });
    (address, cut)
}
