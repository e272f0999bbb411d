//! The gateway as its clients meet it: events over HTTP, parked messages, restarts under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use contracts::Service;
use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use test_support::{World, eventually, provider::small_account, tokens, within, world::terminate};

use crate::story::Story;

/// Server-sent events as they come.
struct Events {
    stream: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    buffer: String,
}

impl Events {
    async fn open(story: &Story, token: &str, query: &str, after: Option<&str>) -> Self {
        let mut request =
            reqwest::Client::new().get(format!("{}/api/v1/events{query}", story.url)).bearer_auth(token);
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { stream: answer.bytes_stream().boxed(), buffer: String::new() }
    }

    /// The next event within the limit: id, type and data.
    async fn next(&mut self, limit: Duration) -> Option<(String, String, Value)> {
        tokio::time::timeout(limit, async {
            loop {
                while let Some(end) = self.buffer.find("\n\n") {
                    let frame: String = self.buffer.drain(..end + 2).collect();
                    let field = |name: &str| {
                        let line = frame.lines().find_map(|line| line.strip_prefix(name));
                        line.map(|value| value.trim_start_matches(':').trim().to_owned())
                    };
                    if let (Some(id), Some(kind), Some(data)) = (field("id"), field("event"), field("data")) {
                        return Some((id, kind, serde_json::from_str(&data).unwrap()));
                    }
                }
                let chunk = self.stream.next().await?.ok()?;
                self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        })
        .await
        .ok()
        .flatten()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_tailed_resumed_and_kept_from_other_tenants() {
    let story = Story::begin(&small_account()).await;
    let mut all = Events::open(&story, &tokens::operator(), "?subject=evt.syncer.%3E", None).await;
    let mut acme = Events::open(&story, &tokens::tenant("acme"), "", None).await;
    let mut globex = Events::open(&story, &tokens::tenant("globex"), "", None).await;
    // The consumers exist when their first pull does.
    tokio::time::sleep(Duration::from_millis(500)).await;
    for listing in ["droplets", "projects"] {
        story.sync(listing).await;
    }
    let mut seen = Vec::new();
    while let Some(event) = all.next(Duration::from_secs(3)).await {
        seen.push(event);
    }
    let kinds = |kind: &str| seen.iter().filter(|(_, event, _)| event == kind).count();
    assert_eq!(
        kinds("evt.syncer.resource.discovered.v1"),
        5 + by_membership(&story).await,
        "{:?}",
        seen.len()
    );
    let sequences: Vec<u64> = seen.iter().map(|(id, _, _)| id.parse().unwrap()).collect();
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");

    // From the middle on, the rest again.
    let middle = &seen[seen.len() / 2].0;
    let mut resumed =
        Events::open(&story, &tokens::operator(), "?subject=evt.syncer.%3E", Some(middle)).await;
    for expected in &seen[seen.len() / 2 + 1..] {
        assert_eq!(resumed.next(Duration::from_secs(5)).await.as_ref(), Some(expected));
    }

    let projects = story.get("/api/v1/projects").await.body;
    let project = projects["items"].as_array().unwrap().iter().find(|p| p["name"] == "acme-prod").unwrap();
    let path = format!("/api/v1/projects/{}/classify", project["id"].as_str().unwrap());
    story.post(&path, &json!({ "tenant_id": "acme" })).await;
    let (_, kind, data) = acme.next(Duration::from_secs(5)).await.expect("the tenant hears of its project");
    assert!(kind.ends_with(".tagged.v1"), "{kind} {data}");
    assert!(data.to_string().contains("acme"));
    assert_eq!(globex.next(Duration::from_secs(1)).await, None, "a tenant hears another's event");

    for (query, after, status) in [
        ("", Some("abc"), 422),
        ("", Some("-1"), 422),
        ("?subject=cmd.syncer.%3E", None, 422),
        ("?subjects=evt.%3E", None, 422),
    ] {
        let mut request = reqwest::Client::new()
            .get(format!("{}/api/v1/events{query}", story.url))
            .bearer_auth(tokens::operator());
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        assert_eq!(request.send().await.unwrap().status(), status, "{query} {after:?}");
    }
}

/// What an operator does to the streams, past the services.
async fn jetstream(story: &Story) -> async_nats::jetstream::Context {
    let nats = &story.world.nats;
    let password = nats.password("admin").to_owned();
    let admin = async_nats::ConnectOptions::with_user_and_password("admin".to_owned(), password);
    async_nats::jetstream::new(admin.connect(nats.url()).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_told_of_events_that_are_gone() {
    let story = Story::begin(&small_account()).await;
    let (operator, jetstream) = (tokens::operator(), jetstream(&story).await);
    story.sync("droplets").await;
    let mut all = Events::open(&story, &operator, "", Some("0")).await;
    let mut places = Vec::new();
    while let Some((id, _, _)) = all.next(Duration::from_secs(2)).await {
        places.push(id.parse::<u64>().unwrap());
    }
    assert!(places.len() >= 5, "{places:?}");

    // Aged out: on from the first that is kept.
    jetstream.get_stream("EVENTS").await.unwrap().purge().sequence(places[3]).await.unwrap();
    let mut late = Events::open(&story, &operator, "", Some(&places[0].to_string())).await;
    let limit = Duration::from_secs(5);
    let gap = late.next(limit).await.expect("a gap");
    assert_eq!(
        (gap.0, gap.1.as_str(), gap.2),
        ((places[3] - 1).to_string(), "gap", json!({ "from": places[0], "to": places[3] }))
    );
    assert_eq!(late.next(limit).await.map(|(id, _, _)| id), Some(places[3].to_string()));

    // Lost and stored anew: an open stream ends, and the next one begins with the gap.
    jetstream.delete_stream("EVENTS").await.unwrap();
    story.world.provision().await;
    let ended =
        tokio::time::timeout(Duration::from_secs(40), async { while all.stream.next().await.is_some() {} });
    ended.await.expect("a stream of events that are no more does not go on for ever");
    let last = places[places.len() - 1];
    let mut again = Events::open(&story, &operator, "", Some(&last.to_string())).await;
    let (_, kind, gap) = again.next(limit).await.expect("a gap");
    assert_eq!((kind.as_str(), &gap["from"]), ("gap", &json!(last)));
    story.post("/api/v1/outbox/syncer/republish", &json!(null)).await;
    let (id, kind, _) = again.next(limit).await.expect("the events are there again");
    assert_eq!((id.as_str(), kind.as_str()), ("1", "evt.syncer.resource.discovered.v1"));
}

/// Resources that only the walk through the projects found.
async fn by_membership(story: &Story) -> usize {
    story.resources("").await.iter().filter(|resource| resource["kind"] != "droplet").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_job_is_parked_shown_replayed_and_dismissed_over_http() {
    let story = Story::begin(&small_account()).await;
    let jetstream = jetstream(&story).await;
    for body in ["not json", "[]"] {
        jetstream.publish("job.syncer.volumes.sync.v1", body.into()).await.unwrap().await.unwrap();
    }
    let items = eventually("both are parked", || async {
        let page = story.get("/api/v1/parked?service=syncer").await.body;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        if items.len() == 2 { Ok(items) } else { Err(page) }
    })
    .await;
    let path = |index: usize| format!("/api/v1/parked/syncer/{}", items[index]["id"].as_str().unwrap());
    let shown = story.get(&path(0)).await.body;
    assert_eq!(
        (shown["body"].as_str(), shown["subject"].as_str()),
        (Some("not json"), Some("job.syncer.volumes.sync.v1"))
    );
    let operator = tokens::operator();
    let replay = story.send(Method::POST, &format!("{}/replay", path(0)), Some(&operator), None).await;
    assert_eq!(replay.status, 409, "{replay:?}");

    let mut superuser = story.world.superuser(Service::Syncer).await;
    sqlx::query("update parked set payload = '{}'").execute(&mut superuser).await.unwrap();
    let replayed = story.send(Method::POST, &format!("{}/replay", path(0)), Some(&operator), None).await;
    assert_eq!(
        (replayed.status.as_u16(), replayed.body["status"].as_str()),
        (200, Some("replayed")),
        "{replayed:?}"
    );
    let dismissed = story.send(Method::POST, &format!("{}/dismiss", path(1)), Some(&operator), None).await;
    assert_eq!(dismissed.body["status"], "dismissed", "{dismissed:?}");
    within(Duration::from_secs(10), "the replayed job is done", || async {
        let volumes = story.resources("&kind=volume").await;
        if volumes.is_empty() { Err("no volumes yet") } else { Ok(()) }
    })
    .await;
    assert_eq!(story.get("/api/v1/parked").await.body["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_idempotency_key_is_one_effect() {
    let story = Story::begin(&small_account()).await;
    story.sync("projects").await;
    let projects = story.get("/api/v1/projects").await.body;
    let id = projects["items"][0]["id"].as_str().unwrap();
    let url = format!("{}/api/v1/projects/{id}/classify", story.url);
    let post = async |tenant: &str, key: &str| {
        let answer = reqwest::Client::new()
            .post(&url)
            .bearer_auth(tokens::operator())
            .header("idempotency-key", key)
            .json(&json!({ "tenant_id": tenant }))
            .send()
            .await
            .unwrap();
        let replayed = answer.headers().contains_key("idempotent-replayed");
        (answer.status().as_u16(), replayed, answer.text().await.unwrap())
    };
    let fifty = futures::future::join_all((0..50).map(|_| post("acme", "key-1"))).await;
    assert!(fifty.iter().all(|(status, _, _)| *status == 200), "{fifty:?}");
    assert_eq!(fifty.iter().filter(|(_, replayed, _)| !replayed).count(), 1, "{fifty:?}");
    assert!(fifty.iter().all(|(_, _, body)| *body == fifty[0].2));
    assert_eq!(post("globex", "key-1").await.0, 422);
    assert_eq!(post("globex", "key-2").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_rolling_restarts_under_load_lose_no_request() {
    let world = World::start().await;
    let provider = test_support::Provider::start().await;
    provider.account(&small_account()).await;
    let _syncer = world.run(Service::Syncer, provider.environment());
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v1/inventory", socket.local_addr().unwrap());
    let token = tokens::operator();
    let mut gateway = world.run_gateway_on(&socket);
    eventually("the inventory is served", || async {
        let answer =
            reqwest::Client::new().get(&url).bearer_auth(&token).send().await.map_err(|e| e.to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(answer.status().to_string()) }
    })
    .await;

    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|index| {
            let (stop, answered, url, token) =
                (Arc::clone(&stop), Arc::clone(&answered), url.clone(), token.clone());
            tokio::spawn(async move {
                // Half keep their connections, half open one per request.
                let client = reqwest::Client::builder()
                    .pool_max_idle_per_host(if index % 2 == 0 { 4 } else { 0 })
                    .build()
                    .unwrap();
                let mut lost = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    match client.get(&url).bearer_auth(&token).send().await {
                        Ok(answer) if answer.status().is_success() => {
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(answer) => {
                            lost.push(format!("{} {}", answer.status(), answer.text().await.unwrap()))
                        }
                        Err(error) => lost.push(format!("{error:?}")),
                    }
                }
                lost
            })
        })
        .collect();
    for _ in 0..20 {
        let next = world.run_gateway_on(&socket);
        // The new one serves before the old one is told to go.
        let before = next.printed().len();
        within(Duration::from_secs(10), "the next gateway is up", || async {
            if next.printed().len() > before && next.process.status().is_none() {
                Ok(())
            } else {
                Err(next.printed())
            }
        })
        .await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let status = terminate(&gateway).await;
        assert!(status.success(), "{status}: {}", gateway.printed());
        gateway = next;
    }
    stop.store(true, Ordering::Relaxed);
    let mut lost = Vec::new();
    for client in clients {
        lost.extend(client.await.unwrap());
    }
    assert!(lost.is_empty(), "{} lost, {} answered: {lost:?}", lost.len(), answered.load(Ordering::Relaxed));
    assert!(answered.load(Ordering::Relaxed) > 1_000, "no load: {}", answered.load(Ordering::Relaxed));
}
