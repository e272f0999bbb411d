//! How soon usage is visible: a producer that publishes one message at a time, at a steady rate, and probes among its
//! messages that somebody waits for.

use std::time::{Duration, Instant};

use async_nats::jetstream;
use bytes::Bytes;
use chrono::{Days, Utc};
use contracts::{Message as _, Service, ids::DeploymentId, llm_gateway::UsageRecorded, permissions};
use local::usage::Plan;
use serde_json::{Value, json};
use sqlx::PgPool;
use test_support::{tokens, within};
use tokio::task::JoinSet;

use super::{
    floor,
    lab::{Lab, connect, headers, target},
};

const LASTS: Duration = Duration::from_secs(20);
/// One message of so many is a probe: one in 20 ms.
const PROBE_EVERY: u64 = 40;
/// Probes take turns, so that one that is late does not hold up the next.
const PROBED: u64 = 100;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(1);
/// A probe that is not seen by then counts as seen then.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a probe is looked for.
#[derive(Clone)]
enum Sight {
    /// In `GET /usage`, as the tenant.
    Http { client: reqwest::Client, url: String, token: String, period: String },
    /// In the sums themselves.
    Sql(PgPool),
}

impl Sight {
    /// Requests of a deployment that are counted.
    async fn requests(&self, deployment: DeploymentId) -> u64 {
        match self {
            Self::Http { client, url, token, period } => {
                let url = format!("{url}/api/v1/usage?deployment={deployment}&{period}");
                let answer = client.get(url).bearer_auth(token).send().await.expect("the gateway answers");
                assert!(answer.status().is_success(), "{answer:?}");
                let text = answer.text().await.expect("an answer can be read");
                let report: Value = serde_json::from_str(&text).expect("an answer is JSON");
                report["llm_total"][0]["requests"].as_u64().unwrap_or_default()
            }
            Self::Sql(pool) => {
                let sum: Option<i64> = sqlx::query_scalar(
                    "select sum(requests)::bigint from llm_usage_daily where deployment_id = $1",
                )
                .bind(deployment.as_uuid())
                .fetch_one(pool)
                .await
                .expect("a sum can be read");
                sum.unwrap_or_default().unsigned_abs()
            }
        }
    }
}

/// What one probe met.
struct Probe {
    /// Until JetStream had it on disk.
    acknowledged: Duration,
    /// From then until it was seen.
    visible: Duration,
}

pub async fn run(lab: &mut Lab, per_second: u64) {
    let seconds = LASTS.as_secs();
    println!("-- from acknowledged to visible, {per_second} events/s published one by one, {seconds} s");

    let before = lab.empty_stream().await;
    lab.settle().await;
    let workers = floor::start(lab, before, 1).await;
    let sight = Sight::Sql(lab.world.pool(Service::Meterer).await);
    let bare = probe(lab, per_second, sight).await;
    drop(workers);
    report("floor, the bare loop, seen by SQL", bare);

    lab.empty_stream().await;
    lab.settle().await;
    let meterer = lab.world.run(Service::Meterer, Vec::new());
    let (_gateway, url) = lab.world.run_gateway().await;
    within(Duration::from_secs(30), "meterer follows the stream", async || {
        let printed = meterer.printed();
        if printed.contains("following") { Ok(()) } else { Err(printed) }
    })
    .await;
    let today = Utc::now().date_naive();
    let period = format!("from={}&to={}", today - Days::new(2), today + Days::new(2));
    let client = reqwest::Client::new();
    let by_http = Sight::Http { client, url, token: tokens::tenant("acme"), period };
    let ours = probe(lab, per_second, by_http).await;
    let p99 = report("ours, seen in GET /usage", ours);
    let ours = probe(lab, per_second, Sight::Sql(lab.world.pool(Service::Meterer).await)).await;
    report("ours, seen by SQL", ours);
    println!("p99 {:.1} ms (wanted: at most 50)", p99.as_secs_f64() * 1000.0);
    lab.check_sums().await;
}

fn report(what: &str, probes: Vec<Probe>) -> Duration {
    let percentile = |of: fn(&Probe) -> Duration, percent: usize| {
        let mut times: Vec<Duration> = probes.iter().map(of).collect();
        times.sort();
        times[(times.len() * percent / 100).min(times.len() - 1)]
    };
    let visible = |probe: &Probe| probe.visible;
    let whole = |probe: &Probe| probe.acknowledged + probe.visible;
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "{what}: acknowledged → visible p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms; published → visible p50 {:.1} ms, p99 {:.1} ms; {} probes",
        ms(percentile(visible, 50)),
        ms(percentile(visible, 99)),
        ms(percentile(visible, 100)),
        ms(percentile(whole, 50)),
        ms(percentile(whole, 99)),
        probes.len(),
    );
    percentile(visible, 99)
}

/// Publishes at the rate, probes among it, and waits until each probe is seen.
async fn probe(lab: &mut Lab, per_second: u64, sight: Sight) -> Vec<Probe> {
    let deployments: Vec<DeploymentId> = (0..PROBED).map(|_| target().deployment_id).collect();
    lab.make_known(&deployments).await;
    let count = per_second * LASTS.as_secs();
    let plan = lab.plan(count);
    let jetstream = jetstream::new(connect(&lab.world, permissions::LLM_GATEWAY).await);
    let mut traffic = plan.traffic().expect("a good plan");
    let (mut probes, mut acks) = (JoinSet::new(), JoinSet::new());
    let begun = Instant::now();
    let mut sent = 0;
    while sent < count {
        let due = u64::try_from(begun.elapsed().as_micros()).expect("seconds") * per_second / 1_000_000;
        while sent < due.min(count) {
            let message = traffic.next().expect("as many as were planned");
            let published = Instant::now();
            let (subject, body, probed) = if sent % PROBE_EVERY == 0 {
                let number = sent / PROBE_EVERY;
                let place = usize::try_from(number % PROBED).expect("a small number");
                let (subject, body) = probe_message(&plan, number, deployments[place]);
                (subject, body, Some((deployments[place], number / PROBED + 1)))
            } else {
                (message.subject.clone(), Bytes::from(message.body.clone()), None)
            };
            let ack = jetstream.publish_with_headers(subject, headers(&message.headers()), body);
            let ack = ack.await.expect("a message can be sent");
            match probed {
                None => {
                    acks.spawn(async move { ack.await.expect("jetstream acknowledges") });
                }
                Some((deployment, expected)) => {
                    let sight = sight.clone();
                    probes.spawn(async move {
                        ack.await.expect("jetstream acknowledges");
                        let acknowledged = Instant::now();
                        while sight.requests(deployment).await < expected && acknowledged.elapsed() < PATIENCE
                        {
                            tokio::time::sleep(LOOK).await;
                        }
                        Probe { acknowledged: acknowledged - published, visible: acknowledged.elapsed() }
                    });
                }
            }
            sent += 1;
        }
        while acks.try_join_next().is_some() {}
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    println!("published {:.0}/s", count as f64 / begun.elapsed().as_secs_f64());
    acks.join_all().await;
    probes.join_all().await
}

fn probe_message(plan: &Plan, number: u64, deployment: DeploymentId) -> (String, Bytes) {
    let tenant = &plan.targets[0].tenant_id;
    let body = json!({
        "gateway_request_id": format!("req_{:x}_probe_{number:08}", plan.seed), "tenant_id": tenant,
        "deployment_id": deployment, "provider": "aurora", "model": "aurora-mini-2", "prompt_tokens": 100,
        "completion_tokens": 20, "cached_tokens": 0, "charge": "0.0125", "currency": "AUD",
        "occurred_at": Utc::now(),
    });
    (format!("{}.{tenant}", UsageRecorded::SUBJECT), body.to_string().into())
}
