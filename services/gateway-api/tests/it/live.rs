//! With NATS and an owner behind it: what reaches the owner, and what comes back.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use contracts::{
    Problem, Service, TenantId,
    biller::{CreateDeployment, Deployment, DeploymentState, MakeQuote, Quote, QuoteSection},
    ids::{DeploymentId, PlanVersionId, ProjectId, ResourceId},
    meterer::{GetUsage, RecordUsage, UsageOutcome, UsageReport, UsageResult, UsageResults},
    paging::Page,
    problem::FieldProblem,
    syncer::{
        ClassifyProject, GetResource, ListResources, Project, Resource, ResourceDetail, ResourceDiscovered,
        ResourceKind, ResourceState,
    },
};
use messaging::{
    Answer, Execute, Received, Refusal, ScopedTx, Subscriptions,
    outbox::{self, Draft},
    parked::{self, Parking},
    runtime::{self, RuntimeSettings},
};
use money::{Cents, Currency};
use reqwest::{Client, Response};
use serde_json::Value;
use sqlx::PgConnection;
use telemetry::operations::Readiness;
use test_support::{World, eventually};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{Served, operator, serve_on, token};

/// An owner that says what it was asked.
#[derive(Default)]
struct Echo {
    effects: AtomicI64,
}

fn at() -> DateTime<Utc> {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

impl Answer<ListResources> for Echo {
    async fn answer(&self, _: &mut ScopedTx, query: ListResources) -> Result<Page<Resource>, Refusal> {
        Ok(Page { items: Vec::new(), next_cursor: Some(serde_json::to_string(&query).unwrap()) })
    }
}

impl Answer<GetResource> for Echo {
    async fn answer(&self, _: &mut ScopedTx, _: GetResource) -> Result<ResourceDetail, Refusal> {
        // Another owner might word it otherwise; the caller must not see a difference.
        Err(Problem::new(404, "Gone", "No such row in cloud_resources").into())
    }
}

impl Execute<ClassifyProject> for Echo {
    async fn execute(&self, _: &mut PgConnection, command: ClassifyProject) -> Result<Project, Refusal> {
        let effects = self.effects.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Project {
            id: command.id,
            provider: "digitalocean".to_owned(),
            provider_id: effects.to_string(),
            name: command.actor.subject,
            environment: None,
            tenant_id: command.tenant_id,
            purpose: command.purpose,
            first_seen_at: at(),
            last_seen_at: at(),
            deleted_at: None,
        })
    }
}

impl Answer<MakeQuote> for Echo {
    async fn answer(&self, _: &mut ScopedTx, query: MakeQuote) -> Result<Quote, Refusal> {
        let nothing = QuoteSection { lines: Vec::new(), total_cents: Cents::ZERO };
        let tokens = query.projected_usage.values().next().unwrap().get();
        Ok(Quote {
            plan_code: query.plan_code,
            plan_version_id: PlanVersionId::from_uuid(uuid::Uuid::now_v7()),
            plan_version: 1,
            currency: Currency::AUD,
            starts_on: query.starts_on.unwrap(),
            recurring: nothing.clone(),
            first_invoice: nothing.clone(),
            overage: nothing,
            all_in_monthly_cents: Cents::round(tokens).unwrap(),
        })
    }
}

impl Execute<CreateDeployment> for Echo {
    async fn execute(&self, _: &mut PgConnection, command: CreateDeployment) -> Result<Deployment, Refusal> {
        if command.slug.as_str() == "taken" {
            return Err(Problem::conflict("You have a deployment of that name.").into());
        }
        Ok(Deployment {
            id: DeploymentId::from_uuid(uuid::Uuid::now_v7()),
            tenant_id: command.tenant_id,
            slug: command.slug,
            display_name: command.display_name,
            region: command.region,
            state: DeploymentState::Active,
            llm_mode: command.llm_mode,
            billing_action_suspended: false,
            template_code: command.template_code,
            template_version: command.template_version,
            subscription: None,
            created_at: at(),
            version: 1,
        })
    }
}

impl Answer<GetUsage> for Echo {
    async fn answer(&self, _: &mut ScopedTx, query: GetUsage) -> Result<UsageReport, Refusal> {
        Ok(UsageReport {
            from: query.from,
            to: query.to,
            deployment_id: query.deployment_id,
            kinds: Vec::new(),
            llm_total: Vec::new(),
            llm_by_model: Vec::new(),
            models_left_out: 0,
            llm_by_day: Vec::new(),
            unmetered: 0,
        })
    }
}

impl Execute<RecordUsage> for Echo {
    async fn execute(&self, _: &mut PgConnection, command: RecordUsage) -> Result<UsageResults, Refusal> {
        let results = command.events.iter().map(|event| {
            let invalid = event.get().contains("wrong");
            UsageResult {
                gateway_request_id: None,
                outcome: if invalid { UsageOutcome::Invalid } else { UsageOutcome::Accepted },
                detail: Some(event.get().chars().take(200).collect()),
                errors: if invalid {
                    vec![FieldProblem { field: "/charge".to_owned(), detail: "is wrong".to_owned() }]
                } else {
                    Vec::new()
                },
            }
        });
        Ok(UsageResults { results: results.collect() })
    }
}

/// A world with all owners answering, and a gateway on it.
struct Live {
    world: World,
    served: Served,
    client: Client,
    _stop: DropGuard,
}

impl Live {
    async fn start() -> Self {
        let world = World::start().await;
        let shutdown = CancellationToken::new();
        for owner in Service::OWNERS {
            let mut table = Subscriptions::<Echo>::new(owner);
            if owner == Service::Syncer {
                table = table.query::<ListResources>().query::<GetResource>().command::<ClassifyProject>();
            }
            if owner == Service::Biller {
                table = table.query::<MakeQuote>().command::<CreateDeployment>();
            }
            if owner == Service::Meterer {
                table = table.query::<GetUsage>().command::<RecordUsage>();
            }
            let settings = RuntimeSettings {
                database: world.database(owner),
                pool: world.pool(owner).await,
                nats: world.connect(owner.name()).await,
                followed: None,
                readiness: Readiness::new(),
            };
            tokio::spawn(runtime::run(table, Arc::new(Echo::default()), settings, shutdown.clone()));
        }
        let served = serve_on(world.connect("gateway-api").await).await;
        let live = Self { world, served, client: Client::new(), _stop: shutdown.drop_guard() };
        for owner in Service::OWNERS {
            eventually(owner.name(), || async {
                let answer = live.get(&format!("/api/v1/parked?service={}", owner.name()), &operator()).await;
                if answer.status() == 200 { Ok(()) } else { Err(answer.text().await) }
            })
            .await;
        }
        live
    }

    fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.served.addr)
    }

    async fn get(&self, target: &str, token: &str) -> Response {
        self.client.get(self.url(target)).bearer_auth(token).send().await.unwrap()
    }

    async fn json(&self, target: &str, token: &str) -> Value {
        let answer = self.get(target, token).await;
        assert_eq!(answer.status(), 200, "{target}");
        answer.json().await.unwrap()
    }

    async fn publish(&self, tenants: &[Option<&str>]) {
        let drafts: Vec<Draft> = tenants.iter().map(|tenant| discovered(*tenant)).collect();
        let pool = self.world.pool(Service::Syncer).await;
        let mut tx = pool.begin().await.unwrap();
        outbox::add(&mut tx, &drafts).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn post(&self, target: &str, token: &str, key: &str, body: &str) -> Response {
        let request = self.client.post(self.url(target)).bearer_auth(token).body(body.to_owned());
        let request = request.header("content-type", "application/json").header("idempotency-key", key);
        request.send().await.unwrap()
    }

    /// A stream of events that has begun.
    async fn events(&self, query: &str, token: &str, after: Option<u64>) -> Events {
        let mut request = self.client.get(self.url(&format!("/api/v1/events{query}"))).bearer_auth(token);
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut events = Events { response, opening: String::new(), text: String::new() };
        events.opening = events.block().await.unwrap();
        let opening = &events.opening;
        assert!(opening.starts_with("retry: 2000\nid: ") && opening.contains("\n: open"), "{opening}");
        events
    }
}

struct Events {
    response: Response,
    opening: String,
    text: String,
}

impl Events {
    /// The place that the opening told.
    fn place(&self) -> u64 {
        let id = self.opening.lines().find_map(|line| line.strip_prefix("id: "));
        id.unwrap().parse().unwrap()
    }

    /// The gap that the opening told of.
    fn gap(&self) -> Option<(u64, u64)> {
        let (_, data) = self.opening.split_once("\nevent: gap\ndata: ")?;
        let data: Value = serde_json::from_str(data).unwrap();
        Some((data["from"].as_u64().unwrap(), data["to"].as_u64().unwrap()))
    }

    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                return Some(block);
            }
            let chunk = tokio::time::timeout(Duration::from_secs(10), self.response.chunk()).await;
            let chunk = chunk.expect("the next block comes in time").unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event: its place, and the tenant in its data.
    async fn event(&mut self) -> (u64, Value) {
        let block = self.block().await.unwrap();
        let lines: Vec<&str> = block.lines().collect();
        let [id, event, data] = lines[..] else { panic!("no event: {block}") };
        assert_eq!(event, "event: evt.syncer.resource.discovered.v1");
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["type"], "evt.syncer.resource.discovered.v1");
        let place = id.strip_prefix("id: ").unwrap().parse().unwrap();
        (place, data["data"]["resource"]["tenant_id"].clone())
    }
}

fn discovered(tenant: Option<&str>) -> Draft {
    let state = ResourceState {
        id: ResourceId::from_uuid(uuid::Uuid::now_v7()),
        provider: "digitalocean".to_owned(),
        kind: ResourceKind::Volume,
        provider_id: "1".to_owned(),
        name: "v".to_owned(),
        status: "active".to_owned(),
        region: None,
        attrs: serde_json::Map::new(),
        cloud_project_id: None,
        tenant_id: tenant.map(|tenant| tenant.parse::<TenantId>().unwrap()),
        deployment_id: None,
        first_seen_at: at(),
        deleted_at: None,
        version: 1,
    };
    Draft::event(Service::Syncer, &ResourceDiscovered { resource: state }, at()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_reach_their_owner_and_answers_come_back() {
    let live = Live::start().await;
    let (member, operator) = (token("acme", &["member"]), operator());

    // Whose rows may be seen is the token's say and nothing else's.
    let asked = |page: Value| page["next_cursor"].as_str().unwrap().to_owned();
    assert_eq!(
        asked(live.json("/api/v1/inventory", &member).await),
        r#"{"scope":{"tenant":"acme"},"page":{"limit":50}}"#
    );
    assert_eq!(
        asked(live.json("/api/v1/inventory?kind=droplet&tenant=acme&limit=7&cursor=abc", &operator).await),
        r#"{"scope":"operator","kind":"droplet","tenant_id":"acme","page":{"limit":7,"cursor":"abc"}}"#
    );

    // An absent id and a malformed one do not differ.
    let mut problems = Vec::new();
    for id in ["0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d", "malformed"] {
        let answer = live.get(&format!("/api/v1/inventory/{id}"), &member).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (404, &"application/problem+json".parse().unwrap())
        );
        let mut problem: Value = answer.json().await.unwrap();
        assert!(problem.as_object_mut().unwrap().remove("instance").is_some());
        problems.push(problem);
    }
    assert_eq!(problems[0], problems[1]);

    // One key, one effect, whoever else uses the same.
    let project = ProjectId::from_uuid(uuid::Uuid::now_v7());
    let classify = |token: String, key: Option<&'static str>| {
        let request = live.client.post(live.url(&format!("/api/v1/projects/{project}/classify")));
        let request = request.bearer_auth(token).header("content-type", "application/json");
        let request = request.body(r#"{"tenant_id":null,"purpose":"shop"}"#);
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        async move {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 200);
            let replayed = answer.headers().contains_key("idempotent-replayed");
            let body: Value = answer.json().await.unwrap();
            (body["provider_id"].as_str().unwrap().to_owned(), replayed)
        }
    };
    assert_eq!(classify(operator.clone(), Some("k")).await, ("1".to_owned(), false));
    assert_eq!(classify(operator.clone(), Some("\"k\"")).await, ("1".to_owned(), true));
    assert_eq!(classify(token("other", &["platform-admin"]), Some("k")).await, ("2".to_owned(), false));
    assert_eq!(classify(operator.clone(), None).await, ("3".to_owned(), false));
    assert_eq!(classify(operator.clone(), None).await, ("4".to_owned(), false));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_has_a_place_and_a_repeat_says_the_same() {
    let live = Live::start().await;
    let member = token("acme", &["member"]);
    let body = r#"{"slug":"shop","display_name":"The shop","region":"syd1"}"#;
    let mut places = Vec::new();
    for replayed in [false, true] {
        let answer = live.post("/api/v1/deployments", &member, "k", body).await;
        assert_eq!(answer.status(), 201);
        assert_eq!(answer.headers().contains_key("idempotent-replayed"), replayed);
        places.push(answer.headers()["location"].to_str().unwrap().to_owned());
        let made: Value = answer.json().await.unwrap();
        assert_eq!((&made["tenant_id"], &made["llm_mode"]), (&"acme".into(), &"disabled".into()));
        assert_eq!(places[0], format!("/api/v1/deployments/{}", made["id"].as_str().unwrap()));
    }
    assert_eq!(places[0], places[1]);
    let operators = r#"{"tenant_id":"globex","slug":"shop","display_name":"The shop","region":"syd1"}"#;
    let answer = live.post("/api/v1/deployments", &operator(), "k", operators).await;
    assert_eq!(answer.json::<Value>().await.unwrap()["tenant_id"], "globex");
    let taken = live.post("/api/v1/deployments", &member, "l", &body.replace("shop\"", "taken\"")).await;
    assert_eq!((taken.status().as_u16(), taken.headers().contains_key("location")), (409, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn quantities_and_days_arrive_as_they_were_written() {
    let live = Live::start().await;
    let member = token("acme", &["member"]);
    for (usage, cents) in [("999999999999999", 999_999_999_999_999_i64), ("\"1.5\"", 2), ("0", 0)] {
        let body = format!(
            r#"{{"plan_code":"studio","projected_usage":{{"llm_tokens":{usage}}},"starts_on":"2028-02-29"}}"#
        );
        // A question needs no key, and takes no notice of one.
        let answer = live.post("/api/v1/quote", &member, "k", &body).await;
        assert_eq!(
            (answer.status().as_u16(), answer.headers().contains_key("idempotent-replayed")),
            (200, false)
        );
        let quote: Value = answer.json().await.unwrap();
        assert_eq!(
            (&quote["all_in_monthly_cents"], &quote["starts_on"]),
            (&cents.into(), &"2028-02-29".into())
        );
    }
    let usage = live.json("/api/v1/usage?from=2028-02-29&to=2028-03-01", &member).await;
    assert_eq!((&usage["from"], &usage["to"]), (&"2028-02-29".into(), &"2028-03-01".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_passed_on_untouched_and_one_bad_event_alone_is_refused() {
    let live = Live::start().await;
    let target = "/api/v1/integrations/llm-usage";
    let producer = token("arcadia", &["llm-gateway"]);
    let good = r#"{"charge": 12345678901234567890.123456789,"n":18446744073709551616 , "s":"\u0041"}"#;
    let told = |answer: Value| {
        let results = answer["results"].as_array().unwrap().clone();
        let told = results
            .iter()
            .map(|r| format!("{} {}", r["outcome"].as_str().unwrap(), r["detail"].as_str().unwrap()));
        told.collect::<Vec<_>>()
    };
    for token in [&producer, &operator()] {
        let answer = live.post(target, token, "one", good).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(told(answer.json().await.unwrap()), [format!("accepted {good}")]);
    }
    let batch = format!(r#" {{"events" : [{good}, {{"wrong":1}},5]}} "#);
    let answer = live.post(target, &producer, "batch", &batch).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        told(answer.json().await.unwrap()),
        [format!("accepted {good}"), r#"invalid {"wrong":1}"#.to_owned(), "accepted 5".to_owned()]
    );
    // The same refusal again when the same effect is asked for again.
    for _ in 0..2 {
        let answer = live.post(target, &producer, "bad", r#"{"wrong":1}"#).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (422, &"application/problem+json".parse().unwrap())
        );
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["errors"], serde_json::json!([{ "field": "/charge", "detail": "is wrong" }]));
    }
    // As much as one message carries.
    let padding = "x".repeat(999_000);
    let answer =
        live.post(target, &producer, "large", &format!(r#"{{"events":[{{"s":"{padding}"}}]}}"#)).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_messages_of_all_owners_are_one_list() {
    let live = Live::start().await;
    let operator = operator();
    for (owner, count) in [(Service::Syncer, 3), (Service::Biller, 2), (Service::SagaOrchestrator, 1)] {
        let pool = live.world.pool(owner).await;
        let mut tx = pool.begin().await.unwrap();
        for index in 0..count {
            let received = Received {
                subject: "evt.a.b.c.v1".to_owned(),
                headers: BTreeMap::new(),
                body: "{}".into(),
                key: format!("key-{index}"),
                deliveries: 1,
                consumer: "test".to_owned(),
            };
            let aside = Parking { received: &received, reason: "no reason", waits_for: None };
            parked::park_all(&mut tx, owner, &[aside], at()).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    for (limit, expected) in
        [(2, "ss sb b- "), (3, "sss bb- "), (5, "sssbb - "), (6, "sssbb- "), (200, "sssbb- ")]
    {
        let (mut seen, mut cursor) = (String::new(), String::new());
        loop {
            let page = live.json(&format!("/api/v1/parked?limit={limit}{cursor}"), &operator).await;
            for item in page["items"].as_array().unwrap() {
                let owner = item["service"].as_str().unwrap();
                seen.push(if owner == "saga-orchestrator" { '-' } else { owner.chars().next().unwrap() });
            }
            seen.push(' ');
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, expected, "{limit} at a time");
    }
    let one = live.json("/api/v1/parked?service=biller", &operator).await;
    let id = one["items"][0]["id"].as_str().unwrap();
    let whole = live.json(&format!("/api/v1/parked/biller/{id}"), &operator).await;
    assert_eq!((&whole["body"], &whole["reason"]), (&"{}".into(), &"no reason".into()));
    let elsewhere = live.get(&format!("/api/v1/parked/syncer/{id}"), &operator).await;
    assert_eq!(elsewhere.status(), 404);
    let dismiss =
        live.client.post(live.url(&format!("/api/v1/parked/biller/{id}/dismiss"))).bearer_auth(&operator);
    let dismissed: Value = dismiss.send().await.unwrap().json().await.unwrap();
    assert_eq!(dismissed["status"], "dismissed");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_filtered_by_tenant_and_resumed_by_place() {
    let live = Live::start().await;
    let (acme, operator) = (token("acme", &["member"]), operator());
    let mut all = live.events("", &operator, None).await;
    let mut own = live.events("?subject=evt.*.resource.%3E", &acme, None).await;
    let mut none = live.events("?subject=evt.biller.%3E", &operator, None).await;

    live.publish(&[Some("acme"), Some("other"), None, Some("acme")]).await;
    let mut places = Vec::new();
    for expected in ["acme".into(), "other".into(), Value::Null, "acme".into()] {
        let (place, tenant) = all.event().await;
        assert_eq!(tenant, expected);
        places.push(place);
    }
    assert_eq!(own.event().await, (places[0], "acme".into()));
    assert_eq!(own.event().await, (places[3], "acme".into()));

    // After a place, from the beginning, and from a place that was never there.
    assert_eq!(live.events("", &operator, Some(places[1])).await.event().await, (places[2], Value::Null));
    assert_eq!(live.events("", &acme, Some(places[0])).await.event().await.0, places[3]);
    assert_eq!(live.events("", &operator, Some(0)).await.event().await.0, places[0]);
    // The stream was lost and rebuilt: from its beginning, and the reader is told.
    let far = places[3] + 1000;
    let mut beyond = live.events("", &operator, Some(far)).await;
    assert_eq!(beyond.gap(), Some((far, 1)));
    assert_eq!(beyond.event().await.0, places[0]);
    // A reader that has had no event resumes by the place it was told at the beginning.
    let idle = live.events("", &operator, None).await;
    assert_eq!((idle.place(), idle.gap()), (places[3], None));
    live.publish(&[Some("later")]).await;
    let resumed = live.events("", &operator, Some(idle.place())).await.event().await;
    assert_eq!(resumed, (places[3] + 1, "later".into()));
    assert_eq!(all.event().await, resumed);

    // A sixth stream of one caller is one too many; one given back is free again.
    let held = [
        live.events("", &acme, None).await,
        live.events("", &acme, None).await,
        live.events("", &acme, None).await,
    ];
    let mut more = Vec::from(held);
    more.push(live.events("", &acme, None).await);
    let refused = live.get("/api/v1/events", &acme).await;
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (429, true));
    drop(more);
    eventually("a stream is free again", || async {
        let answer = live.get("/api/v1/events", &acme).await;
        if answer.status() == 200 { Ok(()) } else { Err(answer.status()) }
    })
    .await;

    live.served.shutdown.cancel();
    for stream in [&mut all, &mut own, &mut none] {
        assert_eq!(stream.block().await.unwrap(), ": this gateway is going away; connect again");
        assert_eq!(stream.block().await, None);
    }
}
