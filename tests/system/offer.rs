//! What is sold, to whom, and how much of it is used: the offer as its users meet it, over HTTP.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, TimeZone, Utc};
use contracts::{
    Service,
    ids::{DeploymentId, ResourceId},
    permissions,
    syncer::{ResourceDiscovered, ResourceKind, ResourceState},
};
use local::{gateway::Gateway, seed};
use messaging::{
    batch::{self, Outgoing},
    outbox::{self, Draft},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use test_support::{provider::small_account, tokens, within};
use uuid::Uuid;

use crate::story::Story;

async fn seeded() -> Story {
    let story = Story::begin(&small_account()).await;
    let gateway = Gateway::new(story.url.clone(), tokens::operator());
    let first = seed::catalog(&gateway).await.unwrap();
    assert_eq!((first.plans, first.addons, first.added), (3, 3, 7));
    // Seeding again changes nothing.
    assert_eq!(seed::catalog(&gateway).await.unwrap().added, 0);
    story
}

async fn deployment(story: &Story, tenant: &str, slug: &str) -> String {
    let body = json!({
        "tenant_id": tenant, "slug": slug, "display_name": slug, "region": "syd1",
        "llm_mode": "gateway", "plan_code": "studio", "addons": ["storage_50gb"],
    });
    let created = story.post("/api/v1/deployments", &body).await;
    created["id"].as_str().expect("a deployment has an id").to_owned()
}

/// Sections as they are read on an invoice: the amounts of their lines, and their sum.
fn amounts(section: &Value) -> (Vec<i64>, i64) {
    let lines = section["lines"].as_array().expect("a section has lines");
    let amounts = lines.iter().map(|line| line["amount_cents"].as_i64().expect("cents")).collect();
    (amounts, section["total_cents"].as_i64().expect("cents"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sold_is_quoted_to_the_cent() {
    let story = seeded().await;
    let quote = async |body: Value| {
        story.send(Method::POST, "/api/v1/quote", Some(&tokens::tenant("acme")), Some(&body)).await
    };
    let alone = quote(json!({ "plan_code": "studio" })).await.body;
    assert_eq!(amounts(&alone["recurring"]), (vec![5000], 5000));
    assert_eq!(amounts(&alone["overage"]), (vec![], 0));
    assert_eq!(alone["all_in_monthly_cents"], 5000);

    let with = quote(json!({
        "plan_code": "studio", "addons": ["storage_50gb"], "starts_on": "2026-05-20",
        "projected_usage": { "llm_tokens": 1_500_000, "spaces_gb_month": "200", "droplet_hours": "1488" },
    }))
    .await
    .body;
    assert_eq!(amounts(&with["recurring"]), (vec![5000, 750], 5750));
    assert_eq!(amounts(&with["first_invoice"]), (vec![1935, 290], 2225));
    let overage: Vec<(&str, i64)> = with["overage"]["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["resource_kind"].as_str().unwrap(), line["amount_cents"].as_i64().unwrap()))
        .collect();
    assert_eq!(overage, [("llm_tokens", 500), ("spaces_gb_month", 100)], "none for hours at the allowance");
    assert_eq!(with["all_in_monthly_cents"], 6350);

    for (body, field) in [
        (json!({ "plan_code": "nothing" }), "/plan_code"),
        (json!({ "plan_code": "studio", "addons": ["nothing"] }), "/addons/0"),
        (json!({ "plan_code": "studio", "starts_on": "2026-02-30" }), "/starts_on"),
        (json!({ "plan_code": "studio", "projected_usage": { "droplet_hours": 1.5 } }), "/projected_usage"),
        (json!({ "plan_code": "studio", "projected_usage": { "droplet_hours": "-1" } }), "/projected_usage"),
    ] {
        let refused = quote(body.clone()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {refused:?}");
        let named = refused.body["errors"][0]["field"].as_str().unwrap_or_default();
        assert!(named.starts_with(field), "{body}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_lives_and_a_resource_is_linked_to_it() {
    let story = seeded().await;
    let id = deployment(&story, "acme", "shop").await;
    let path = format!("/api/v1/deployments/{id}");
    let own = story.get_as("acme", &path).await;
    assert_eq!(own.body["state"], "active");
    assert_eq!(own.body["subscription"]["plan_code"], "studio");
    assert_eq!(own.body["subscription"]["addons"][0]["price_cents"], 750);
    let foreign = story.get_as("globex", &path).await;
    let unknown = story.get_as("globex", &format!("/api/v1/deployments/{}", Uuid::now_v7())).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    let shown = |answer: &Value| (answer["title"].clone(), answer["detail"].clone());
    assert_eq!(shown(&foreign.body), shown(&unknown.body));

    let step = async |token: String, to: &str| {
        let body = json!({ "to": to, "reason": "a test" });
        story.send(Method::POST, &format!("{path}/transition"), Some(&token), Some(&body)).await
    };
    assert_eq!(step(tokens::tenant("acme"), "paused").await.body["state"], "paused");
    let refused = step(tokens::operator(), "past_due").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let said = refused.body.to_string();
    assert!(said.contains("paused") && said.contains("past_due"), "{said}");
    assert_eq!(step(tokens::tenant("acme"), "active").await.body["state"], "active");
    assert_eq!(step(tokens::tenant("acme"), "suspended").await.status, StatusCode::FORBIDDEN);

    story.sync("droplets").await;
    let droplet = story.resources("&kind=droplet").await.swap_remove(0);
    let link = format!("/api/v1/inventory/{}/link", droplet["id"].as_str().unwrap());
    let linked = within(Duration::from_secs(20), "syncer knows the deployment", async || {
        let body = json!({ "deployment_id": id });
        let answer = story.send(Method::POST, &link, Some(&tokens::operator()), Some(&body)).await;
        if answer.status.is_success() { Ok(answer.body) } else { Err(answer.body) }
    })
    .await;
    assert_eq!((&linked["deployment_id"], &linked["tenant_id"]), (&json!(id), &json!("acme")));
    // Later walks of the provider do not take it away again.
    story.sync("projects").await;
    story.sync("droplets").await;
    let theirs = story.get_as("acme", &format!("/api/v1/inventory?deployment={id}")).await.body;
    assert_eq!(theirs["items"].as_array().map(Vec::len), Some(1), "{theirs}");
    within(Duration::from_secs(20), "meterer has heard", async || {
        let mut superuser = story.world.superuser(Service::Meterer).await;
        let linked: i64 = sqlx::query_scalar("select count(*) from resource_state where deployment_id = $1")
            .bind(id.parse::<Uuid>().unwrap())
            .fetch_one(&mut superuser)
            .await
            .unwrap();
        if linked > 0 { Ok(()) } else { Err(linked) }
    })
    .await;
}

struct Thing {
    kind: ResourceKind,
    size: Option<&'static str>,
}

async fn discovered(story: &Story, id: &str, things: &[Thing], at: DateTime<Utc>) {
    let pool = story.world.pool(Service::Syncer).await;
    let mut tx = pool.begin().await.unwrap();
    let drafts: Vec<Draft> = things
        .iter()
        .enumerate()
        .map(|(number, thing)| {
            let mut attrs = serde_json::Map::new();
            if let Some(size) = thing.size {
                attrs.insert("size_gigabytes".to_owned(), size.into());
            }
            let resource = ResourceState {
                id: ResourceId::from_uuid(Uuid::now_v7()),
                provider: "digitalocean".to_owned(),
                kind: thing.kind.clone(),
                provider_id: format!("given-{number}"),
                name: format!("thing-{number}"),
                status: "active".to_owned(),
                region: None,
                attrs,
                cloud_project_id: None,
                tenant_id: Some("acme".parse().unwrap()),
                deployment_id: Some(id.parse::<DeploymentId>().unwrap()),
                first_seen_at: at,
                deleted_at: None,
                version: 1,
            };
            Draft::event(Service::Syncer, &ResourceDiscovered { resource }, at).unwrap()
        })
        .collect();
    outbox::add(&mut tx, &drafts).await.unwrap();
    tx.commit().await.unwrap();
}

/// The worked example of SPEC §8 and what it costs: ten days of October 2026, known as syncer would have told them.
#[tokio::test(flavor = "multi_thread")]
async fn ten_days_are_metered_to_the_last_decimal_and_cost_the_plan_alone() {
    let story = seeded().await;
    let id = deployment(&story, "acme", "shop").await;
    let thing = |kind: ResourceKind, size: Option<&'static str>| Thing { kind, size };
    let things = [
        thing(ResourceKind::Droplet, None),
        thing(ResourceKind::Droplet, None),
        thing(ResourceKind::DnsZone, None),
        thing(ResourceKind::DnsZone, None),
        thing(ResourceKind::Snapshot, Some("10.25")),
        thing(ResourceKind::Snapshot, Some("20")),
        thing(ResourceKind::Snapshot, Some("17.75")),
    ];
    discovered(&story, &id, &things, Utc.with_ymd_and_hms(2026, 9, 30, 12, 0, 0).unwrap()).await;
    within(Duration::from_secs(20), "meterer knows them", async || {
        let mut superuser = story.world.superuser(Service::Meterer).await;
        let known: i64 = sqlx::query_scalar("select count(*) from resource_state where name like 'thing-%'")
            .fetch_one(&mut superuser)
            .await
            .unwrap();
        if known == 7 { Ok(()) } else { Err(known) }
    })
    .await;
    let first = NaiveDate::from_ymd_opt(2026, 10, 1).unwrap();
    let mut records = 0;
    for day in (0..10).map(|days| first + Days::new(days)) {
        let path = format!("/api/v1/usage/days/{day}/meter");
        let metered = story.post(&path, &json!({})).await;
        records += metered["records"].as_i64().unwrap();
        // Once more changes nothing.
        assert_eq!(story.post(&path, &json!({})).await["changed"], 0);
    }
    assert_eq!(records, 70);
    let usage =
        story.get_as("acme", &format!("/api/v1/usage?deployment={id}&from=2026-10-01&to=2026-11-01")).await;
    let kinds = &usage.body["kinds"];
    assert_eq!(
        *kinds,
        json!([
            { "billing_kind": "dns_zones", "qty": "0.645161290322" },
            { "billing_kind": "droplet_hours", "qty": "480" },
            { "billing_kind": "snapshot_gb_month", "qty": "15.483870967728" },
        ]),
        "20/31 and 480/31 to twelve places of each day's share",
    );
    let others = story.get_as("globex", "/api/v1/usage?from=2026-10-01&to=2026-11-01").await;
    assert_eq!(others.body["kinds"], json!([]));

    let projected: serde_json::Map<String, Value> = kinds
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| (kind["billing_kind"].as_str().unwrap().to_owned(), kind["qty"].clone()))
        .collect();
    let quote =
        story.post("/api/v1/quote", &json!({ "plan_code": "studio", "projected_usage": projected })).await;
    assert_eq!((&quote["all_in_monthly_cents"], &quote["overage"]["total_cents"]), (&json!(5000), &json!(0)));
}

fn event(number: u32, tenant: &str, deployment: &str, charge: Value) -> Value {
    json!({
        "gateway_request_id": format!("req-{number:06}"), "tenant_id": tenant, "deployment_id": deployment,
        "provider": "anthropic", "model": "claude-sonnet-4", "prompt_tokens": 100, "completion_tokens": 20,
        "cached_tokens": 5, "charge": charge, "currency": "AUD", "occurred_at": "2026-11-20T10:00:00Z",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn llm_usage_counts_once_whichever_way_it_comes() {
    let story = seeded().await;
    let id = deployment(&story, "acme", "shop").await;
    let producer = tokens::sign(&tokens::claims("platform", &["llm-gateway"]));
    let send = async |token: &str, body: &Value| {
        story.send(Method::POST, "/api/v1/integrations/llm-usage", Some(token), Some(body)).await
    };
    assert_eq!(send(&tokens::tenant("acme"), &event(1, "acme", &id, json!("0.1"))).await.status, 403);
    within(Duration::from_secs(20), "meterer knows the deployment", async || {
        let answer = send(&producer, &event(1, "acme", &id, json!("0.100000000001"))).await;
        let outcome = answer.body["results"][0]["outcome"].clone();
        if outcome == "accepted" || outcome == "duplicate" { Ok(()) } else { Err(answer.body) }
    })
    .await;

    // The same by NATS, with others, one of them in conflict and one for nobody.
    let nobody = Uuid::now_v7().to_string();
    let messages = [
        event(1, "acme", &id, json!("0.100000000001")),
        event(1, "acme", &id, json!("0.10")),
        event(2, "acme", &id, json!("0.000000000001")),
        event(3, "acme", &nobody, json!("1")),
        event(4, "acme", &id, json!(0.5)),
    ];
    let nats = story.world.connect(permissions::LLM_GATEWAY).await;
    let outgoing = messages
        .iter()
        .map(|body| {
            let subject = "evt.llm-gateway.usage.recorded.v1.acme".to_owned();
            Outgoing::new(subject, std::collections::BTreeMap::new(), body.to_string().into())
        })
        .collect();
    batch::publish(&nats, outgoing).await.unwrap();

    let path = format!("/api/v1/usage?deployment={id}&from=2026-11-01&to=2026-12-01");
    let total = within(Duration::from_secs(20), "the usage is visible", async || {
        let usage = story.get_as("acme", &path).await.body;
        if usage["llm_total"][0]["requests"] == 2 { Ok(usage) } else { Err(usage) }
    })
    .await;
    assert_eq!(total["llm_total"][0]["charge"], "0.100000000002");
    assert_eq!(total["llm_by_model"][0]["model"], "claude-sonnet-4");
    assert_eq!(total["llm_by_day"][0]["day"], "2026-11-20");
    let tokens_used = total["kinds"].as_array().unwrap().iter().find(|k| k["billing_kind"] == "llm_tokens");
    assert_eq!(tokens_used.unwrap()["qty"], "240");

    let conflicts = story.get_as("acme", "/api/v1/usage/conflicts").await.body;
    assert_eq!(conflicts["items"].as_array().map(Vec::len), Some(1), "{conflicts}");
    assert_eq!(conflicts["items"][0]["gateway_request_id"], "req-000001");
    assert_eq!(conflicts["items"][0]["fields"], json!(["charge"]));
    assert_eq!(story.get_as("globex", "/api/v1/usage/conflicts").await.body["items"], json!([]));

    let parked = within(Duration::from_secs(20), "two are parked", async || {
        let parked = story.get("/api/v1/parked?service=meterer").await.body;
        let items = parked["items"].as_array().cloned().unwrap_or_default();
        if items.len() == 2 { Ok(items) } else { Err(parked) }
    })
    .await;
    let reasons: Vec<&str> = parked.iter().map(|parked| parked["reason"].as_str().unwrap()).collect();
    assert!(reasons.iter().any(|reason| reason.contains(&nobody)), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("charge")), "{reasons:?}");

    let outcomes = send(
        &producer,
        &json!({ "events": [
            event(2, "acme", &id, json!("0.000000000001")), event(2, "acme", &id, json!("7")),
            event(5, "acme", &id, json!("0.25")), event(6, "acme", &id, json!(1)),
            event(7, "globex", &id, json!("1")),
        ] }),
    )
    .await;
    assert_eq!(outcomes.status, StatusCode::OK, "{outcomes:?}");
    let outcomes: Vec<&str> = outcomes.body["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["duplicate", "conflict", "accepted", "invalid", "parked"]);
    let alone = send(&producer, &event(8, "acme", &id, json!(1))).await;
    assert_eq!(alone.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(alone.body["errors"][0]["field"], "/charge");
}
