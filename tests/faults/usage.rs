//! LLM usage while everything is killed that takes part in it: what counts is what the producer says, to the last digit.
//!
//! In this form sixty thousand messages; the nightly form is a million:
//! `ARCADIA_FAULT_EVENTS=1000000 cargo test -p arcadia-tests --test faults usage -- --nocapture`. The seed of who is killed
//! and when, and of the messages, is printed; `ARCADIA_FAULT_SEED` chooses it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    num::NonZeroU32,
    str::FromStr,
    time::{Duration, Instant, SystemTime},
};

use async_nats::jetstream;
use chrono::{DateTime, Days, NaiveDate, SubsecRound, Utc};
use contracts::{
    Service,
    biller::{Deployment, DeploymentCreated, DeploymentState, LlmMode, Subscription, SubscriptionStatus},
    ids::{DeploymentId, PlanVersionId, SubscriptionId},
    meterer::{LlmUsage, UsageReport},
    permissions::{self, LLM_GATEWAY, LLM_GATEWAY_ADMIN},
    streams::Stream,
};
use local::usage::{Pace, Plan, Published, Row, Shares, Sort, Target};
use messaging::outbox::{self, Draft};
use money::Charge;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use sqlx::{PgConnection, types::Json};
use test_support::{World, programs::Program, tokens, within};
use uuid::Uuid;

const EVENTS: &str = "ARCADIA_FAULT_EVENTS";
const SEED: &str = "ARCADIA_FAULT_SEED";
/// Messages a second. With it the messages between two kills are about as many in either form.
const RATE: u32 = 4_000;
/// One of so many messages is of a deployment that nobody knows at first.
const LATE_SHARE: u32 = 20;

/// A deployment of this number.
pub fn target(number: u128, tenant: &str, currency: &str) -> Target {
    Target {
        deployment_id: DeploymentId::from_uuid(Uuid::from_u128(number)),
        tenant_id: tenant.parse().unwrap(),
        currency: currency.parse().unwrap(),
    }
}

/// Messages of every sort.
pub fn plan(seed: u64, producer: &str, count: u64, targets: Vec<Target>) -> Plan {
    let shares =
        Shares { duplicates: 100, reordered: 50, conflicts: 10, rubbish: 10, corrections: 10, voids: 5 };
    let until = DateTime::<Utc>::from(SystemTime::now()).trunc_subsecs(3);
    Plan { seed, producer: producer.to_owned(), count, targets, shares, until, days: 3 }
}

/// Biller is to tell of deployments; it runs, or will.
pub async fn announce(world: &World, targets: &[Target]) {
    let at: DateTime<Utc> = SystemTime::now().into();
    let drafts: Vec<Draft> = targets
        .iter()
        .map(|target| {
            let event = DeploymentCreated { deployment: deployment(target, at) };
            Draft::event(Service::Biller, &event, at).unwrap()
        })
        .collect();
    let pool = world.pool(Service::Biller).await;
    let mut tx = pool.begin().await.unwrap();
    outbox::add(&mut tx, &drafts).await.unwrap();
    tx.commit().await.unwrap();
}

fn deployment(target: &Target, at: DateTime<Utc>) -> Deployment {
    let today = at.date_naive();
    let subscription = Subscription {
        id: SubscriptionId::from_uuid(Uuid::now_v7()),
        plan_code: "studio".parse().unwrap(),
        plan_version_id: PlanVersionId::from_uuid(Uuid::from_u128(1)),
        plan_version: 1,
        currency: target.currency,
        status: SubscriptionStatus::Active,
        current_period_start: today,
        current_period_end: today + Days::new(30),
        trial_ends_at: None,
        started_at: at,
        cancelled_at: None,
        addons: Vec::new(),
    };
    Deployment {
        id: target.deployment_id,
        tenant_id: target.tenant_id.clone(),
        slug: format!("app-{}", target.deployment_id.as_uuid().as_u128()).parse().unwrap(),
        display_name: "App".to_owned(),
        region: "syd1".to_owned(),
        state: DeploymentState::Active,
        llm_mode: LlmMode::Gateway,
        billing_action_suspended: false,
        template_code: None,
        template_version: None,
        subscription: Some(subscription),
        created_at: at,
        version: 1,
    }
}

/// Waits until meterer knows deployments, and nothing waits for them any more.
pub async fn known(world: &World, targets: &[Target]) {
    let ids: Vec<Uuid> = targets.iter().map(|target| target.deployment_id.as_uuid()).collect();
    within(Duration::from_secs(120), "meterer knows the deployments", async || {
        let known: i64 =
            sqlx::query_scalar("select count(*) from known_deployment where deployment_id = any($1)")
                .bind(&ids)
                .fetch_one(&mut world.superuser(Service::Meterer).await)
                .await
                .unwrap();
        let mut waits = 0;
        for target in targets {
            waits += waiting(world, target).await;
        }
        if known.unsigned_abs() == targets.len() as u64 && waits == 0 { Ok(()) } else { Err((known, waits)) }
    })
    .await;
}

/// What publishes all of a plan, whatever happens to the server meanwhile.
pub async fn publish(
    world: &World,
    plan: &Plan,
    per_second: Option<NonZeroU32>,
) -> impl Future<Output = Published> + Send + use<> {
    let nats = world.connect(LLM_GATEWAY).await;
    let (traffic, pace) = (plan.traffic().unwrap(), Pace { per_second, ..Pace::default() });
    async move { usage_publisher::publish(&nats, traffic, pace, |_| {}).await.unwrap() }
}

/// Waits until meterer has taken everything that is stored; returns how many messages that is.
pub async fn taken(world: &World, limit: Duration) -> u64 {
    let client = async_nats::ConnectOptions::new()
        .user_and_password(LLM_GATEWAY_ADMIN.to_owned(), world.nats.password(LLM_GATEWAY_ADMIN).to_owned())
        .custom_inbox_prefix(permissions::inbox_prefix(LLM_GATEWAY_ADMIN))
        .connect(world.nats.url())
        .await
        .unwrap();
    let mut stream = jetstream::new(client).get_stream(Stream::Usage.name()).await.unwrap();
    let stored = stream.info().await.unwrap().state.last_sequence;
    within(limit, "meterer has taken all usage", async || {
        let position = count(world, "select coalesce(max(sequence), 0) from usage_position").await;
        if position.unsigned_abs() == stored { Ok(()) } else { Err(format!("{position} of {stored}")) }
    })
    .await;
    stored
}

async fn count(world: &World, statement: &'static str) -> i64 {
    let mut superuser = world.superuser(Service::Meterer).await;
    sqlx::query_scalar(statement).fetch_one(&mut superuser).await.unwrap()
}

/// The sums by day are those over the events and what corrections changed. Every test that does anything to usage ends
/// with it.
pub async fn adds_up(world: &World) {
    let unequal = count(
        world,
        "with counted as (
           select deployment_id, (occurred_at at time zone 'UTC')::date as day, provider, model, currency,
                  1 as requests, prompt_tokens, completion_tokens, cached_tokens, charge
           from llm_usage_events
           union all
           select deployment_id, day, provider, model, currency, requests_delta, prompt_tokens_delta,
                  completion_tokens_delta, cached_tokens_delta, charge_delta
           from llm_usage_corrections
         ), summed as (
           select deployment_id, day, provider, model, currency, sum(requests) as requests,
                  sum(prompt_tokens) as prompt, sum(completion_tokens) as completion, sum(cached_tokens) as cached,
                  sum(charge) as charge
           from counted group by 1, 2, 3, 4, 5
         )
         select count(*)
         from summed full join llm_usage_daily daily using (deployment_id, day, provider, model, currency)
         where (summed.requests, summed.prompt, summed.completion, summed.cached, summed.charge)
               is distinct from (daily.requests, daily.prompt_tokens, daily.completion_tokens, daily.cached_tokens,
                                 daily.charge)",
    )
    .await;
    assert_eq!(unequal, 0, "sums by day are not those over events and corrections");
}

/// Everything that meterer has of usage is what these plans come to: sums, and by count and content what was set aside;
/// returns the sums.
pub async fn comes_to(world: &World, plans: &[Plan]) -> Vec<Row> {
    adds_up(world).await;
    let (mut all, mut rows, mut rubbish) = (Vec::new(), Vec::new(), BTreeSet::new());
    for plan in plans {
        let mut traffic = plan.traffic().unwrap();
        let pieces = traffic.by_ref().filter(|message| matches!(message.sort, Sort::Rubbish(_)));
        rubbish.extend(pieces.map(|message| message.body));
        let mut totals = traffic.totals();
        rows.append(&mut totals.rows);
        all.push(totals);
    }
    let sum = |of: fn(&local::usage::Totals) -> u64| all.iter().map(of).sum::<u64>();
    let mut superuser = world.superuser(Service::Meterer).await;
    let (ids, events, corrected, voided, conflicts, announced): (i64, i64, i64, i64, i64, i64) =
        sqlx::query_as(
            "select (select count(*) from llm_usage_ids), (select count(*) from llm_usage_events),
                    (select count(*) from llm_usage_corrections where kind = 'corrected'),
                    (select count(*) from llm_usage_corrections where kind = 'voided'),
                    (select count(*) from llm_usage_conflicts),
                    (select count(*) from outbox where subject like 'evt.meterer.usage.conflicted.%')",
        )
        .fetch_one(&mut superuser)
        .await
        .unwrap();
    let kept = [
        ("ids", ids),
        ("events", events),
        ("corrections", corrected),
        ("voids", voided),
        ("conflicts", conflicts),
        ("conflicts that were told", announced),
    ]
    .map(|(what, count)| (what, count.unsigned_abs()));
    let expected = [
        ("ids", sum(|totals| totals.accepted)),
        ("events", sum(|totals| totals.accepted)),
        ("corrections", sum(|totals| totals.corrections)),
        ("voids", sum(|totals| totals.voids)),
        ("conflicts", sum(|totals| totals.conflicts)),
        ("conflicts that were told", sum(|totals| totals.conflicts)),
    ];
    assert_eq!(kept, expected);
    is_set_aside(&mut superuser, &rubbish).await;
    assert_eq!(rubbish.len() as u64, sum(local::usage::Totals::parked_total));

    rows.sort_by(|one, other| key(one).cmp(&key(other)));
    let sums = sums(&mut superuser).await;
    let wrong = sums.iter().zip(&rows).find(|(sum, row)| sum != row);
    assert!(wrong.is_none(), "the first sum that is not as it must be: {wrong:#?}");
    assert_eq!(sums.len(), rows.len());
    every_number_has_come(&mut superuser, plans).await;
    rows
}

/// What waits for an operator is this, each piece once.
async fn is_set_aside(superuser: &mut PgConnection, rubbish: &BTreeSet<Vec<u8>>) {
    let parked: Vec<(Vec<u8>, String)> =
        sqlx::query_as("select payload, reason from parked where status = 'parked'")
            .fetch_all(superuser)
            .await
            .unwrap();
    let text = |body: &Vec<u8>| String::from_utf8_lossy(body).into_owned();
    let (mut left, mut unexpected) = (rubbish.clone(), Vec::new());
    for (body, reason) in &parked {
        if !left.remove(body) {
            unexpected.push(format!("{reason}: {}", text(body)));
        }
    }
    unexpected.truncate(5);
    let missing: Vec<String> = left.iter().map(text).take(5).collect();
    assert!(
        left.is_empty() && parked.len() == rubbish.len(),
        "{} messages are set aside and not {}; unexpected: {unexpected:#?}, missing: {missing:#?}",
        parked.len(),
        rubbish.len(),
    );
}

fn key(row: &Row) -> (DeploymentId, NaiveDate, &str, &str, &str) {
    (row.deployment_id, row.day, &row.provider, &row.model, row.currency.as_str())
}

/// The sums by day, in the order of their keys; those of voided requests alone are left out.
async fn sums(superuser: &mut PgConnection) -> Vec<Row> {
    let rows: Vec<Json<Row>> = sqlx::query_scalar(
        "select to_json(sum) from (
           select deployment_id, tenant_id, day, provider, model, currency, requests, prompt_tokens, completion_tokens,
                  cached_tokens, trim_scale(charge)::text as charge
           from llm_usage_daily
           where (requests, prompt_tokens, completion_tokens, cached_tokens, charge) != (0, 0, 0, 0, 0)
           order by deployment_id, day, provider, model, currency) sum",
    )
    .fetch_all(superuser)
    .await
    .unwrap();
    rows.into_iter().map(|Json(row)| row).collect()
}

/// Of each producer the numbers up to its last are there, without a gap.
async fn every_number_has_come(superuser: &mut PgConnection, plans: &[Plan]) {
    let producers: Vec<(String, i64, bool)> =
        sqlx::query_as("select producer, highest, isempty(missing) from usage_producers order by producer")
            .fetch_all(superuser)
            .await
            .unwrap();
    let mut expected: Vec<(String, i64, bool)> =
        plans.iter().map(|plan| (plan.producer.clone(), i64::try_from(plan.count).unwrap(), true)).collect();
    expected.sort();
    assert_eq!(producers, expected);
}

/// Sums rows of the same day, the same model and the same currency, as far as day and model matter.
fn summed(rows: &[Row], day: bool, model: bool) -> Vec<LlmUsage> {
    let mut sums = BTreeMap::<_, LlmUsage>::new();
    for row in rows {
        let day = day.then_some(row.day);
        let model = model.then(|| (row.provider.clone(), row.model.clone()));
        let sum = sums.entry((day, model.clone(), row.currency)).or_insert_with(|| LlmUsage {
            day,
            provider: model.as_ref().map(|(provider, _)| provider.clone()),
            model: model.map(|(_, model)| model),
            currency: row.currency,
            requests: 0,
            prompt_tokens: 0,
            completion_tokens: 0,
            cached_tokens: 0,
            charge: Charge::default(),
        });
        sum.requests += row.requests;
        sum.prompt_tokens += row.prompt_tokens;
        sum.completion_tokens += row.completion_tokens;
        sum.cached_tokens += row.cached_tokens;
        sum.charge = Charge::new(sum.charge.get() + row.charge.get()).unwrap();
    }
    sums.into_values().collect()
}

/// What operators are answered is what these rows come to, of one deployment and of all.
async fn is_told(world: &World, rows: &[Row]) {
    let (_gateway, url) = world.run_gateway().await;
    let client = reqwest::Client::new();
    let (first, last) = rows
        .iter()
        .map(|row| row.day)
        .fold((NaiveDate::MAX, NaiveDate::MIN), |(min, max), day| (min.min(day), max.max(day)));
    let one = rows[0].deployment_id;
    for deployment in [None, Some(one)] {
        let of = deployment.map(|id| format!("&deployment={id}")).unwrap_or_default();
        let url = format!("{url}/api/v1/usage?from={first}&to={}{of}", last + Days::new(1));
        let report: UsageReport = within(Duration::from_secs(20), "usage is told", async || {
            let answer =
                client.get(&url).bearer_auth(tokens::operator()).send().await.map_err(|e| e.to_string())?;
            let text = answer.text().await.map_err(|error| error.to_string())?;
            serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
        })
        .await;
        let rows: Vec<Row> =
            rows.iter().filter(|row| deployment.is_none_or(|id| row.deployment_id == id)).cloned().collect();
        assert_eq!(report.llm_total, summed(&rows, false, false), "{deployment:?}");
        assert_eq!(report.llm_by_model, summed(&rows, false, true), "{deployment:?}");
        assert_eq!(report.llm_by_day, summed(&rows, true, false), "{deployment:?}");
        let tokens: u64 = rows.iter().map(|row| row.prompt_tokens + row.completion_tokens).sum();
        let told: Vec<(&str, String)> =
            report.kinds.iter().map(|usage| (usage.billing_kind.as_str(), usage.qty.to_string())).collect();
        assert_eq!(told, [("llm_tokens", tokens.to_string())]);
    }
}

/// What dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Meterer,
    Nats,
    Postgres,
}

/// How many messages wait for a deployment, themselves or behind others that do.
async fn waiting(world: &World, target: &Target) -> u64 {
    let waiting: i64 = sqlx::query_scalar("select count(*) from parked where waits_for like $1")
        .bind(format!("deployment/{}%", target.deployment_id))
        .fetch_one(&mut world.superuser(Service::Meterer).await)
        .await
        .unwrap();
    waiting.unsigned_abs()
}

fn setting<T: FromStr<Err: Debug>>(name: &str) -> Option<T> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Kills one of them, as a crash would, and starts it again a while later.
async fn strike(world: &mut World, meterers: &mut [Program; 2], victim: Victim, random: &mut StdRng) {
    let down = Duration::from_millis(random.random_range(0..1_500));
    match victim {
        Victim::Meterer => {
            // The one that follows, the one that waits to, or both.
            let struck: &[usize] = [&[0][..], &[1], &[0, 1]][random.random_range(0..3)];
            for index in struck {
                meterers[*index].process.kill().await;
            }
            tokio::time::sleep(down).await;
            for index in struck {
                meterers[*index] = world.run(Service::Meterer, Vec::new());
            }
        }
        Victim::Nats => {
            world.nats.kill().await;
            tokio::time::sleep(down).await;
            world.nats.restart().await.unwrap();
        }
        Victim::Postgres => {
            world.own_postgres().kill().await;
            tokio::time::sleep(down).await;
            world.own_postgres().restart().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_counts_exactly_whoever_is_killed() {
    let events = setting(EVENTS).unwrap_or(60_000);
    let seed = setting(SEED).unwrap_or_else(rand::random);
    println!("{SEED}={seed} {EVENTS}={events}");
    let mut random = StdRng::seed_from_u64(seed);
    let begun = Instant::now();

    let mut world = World::start_alone().await;
    let _biller = world.run(Service::Biller, Vec::new());
    let mut meterers = [(); 2].map(|()| world.run(Service::Meterer, Vec::new()));
    let known_first = vec![
        target(901, "acme", "AUD"),
        target(902, "acme", "AUD"),
        target(903, "globex", "EUR"),
        target(904, "initech", "USD"),
    ];
    let late = vec![target(905, "hooli", "AUD")];
    announce(&world, &known_first).await;
    known(&world, &known_first).await;

    let few = events / u64::from(LATE_SHARE);
    let plans = [plan(seed, "first", events - few, known_first), plan(seed ^ 1, "late", few, late.clone())];
    let paces = [RATE - RATE / LATE_SHARE, RATE / LATE_SHARE];
    let mut publishers = tokio::task::JoinSet::new();
    for (plan, rate) in plans.iter().zip(paces) {
        publishers.spawn(publish(&world, plan, NonZeroU32::new(rate)).await);
    }

    let (mut kills, mut repeated, mut is_announced) = (BTreeMap::<Victim, u32>::new(), 0, false);
    let mut round = Vec::new();
    while !publishers.is_empty() || kills.len() < 3 {
        if round.is_empty() {
            // Each as often as the others.
            round.extend([Victim::Meterer, Victim::Nats, Victim::Postgres]);
            round.shuffle(&mut random);
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(300..2_500))).await;
        let victim = round.pop().unwrap();
        strike(&mut world, &mut meterers, victim, &mut random).await;
        *kills.entry(victim).or_default() += 1;
        if !is_announced && waiting(&world, &late[0]).await > few / 4 {
            announce(&world, &late).await;
            is_announced = true;
        }
        while let Some(published) = publishers.try_join_next() {
            repeated += published.unwrap().repeated;
        }
    }
    let published_after = begun.elapsed();
    if !is_announced {
        within(Duration::from_secs(60), "a message waits", async || match waiting(&world, &late[0]).await {
            0 => Err(0),
            _ => Ok(()),
        })
        .await;
        announce(&world, &late).await;
    }
    let stored = taken(&world, Duration::from_secs(120 + events / 500)).await;
    known(&world, &late).await;
    let taken_after = begun.elapsed();
    let released = count(&world, "select count(*) from parked where status = 'replayed'").await;
    println!(
        "{events} messages, {repeated} sent again, {stored} stored; killed: {kills:?}; {released} had waited for their \
         deployment; published after {published_after:.1?}, taken after {taken_after:.1?}"
    );
    let rows = comes_to(&world, &plans).await;
    assert!(released > 0, "no message waited for its deployment");
    is_told(&world, &rows).await;
    println!("compared after {:.1?}", begun.elapsed());
}
