//! Line 12: a quote through token, NATS and Postgres, against axum → NATS request → a responder that runs the same SQL
//! and answers as much.

use std::{sync::Arc, time::Duration};

use contracts::Service;
use local::{gateway::Gateway, seed};
use serde_json::{Value, json};
use sqlx::PgPool;
use test_support::{World, tokens, within};

use crate::{floor, load};

const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_secs(2);
const DURATION: Duration = Duration::from_secs(8);
/// Ours and floor take turns; the middle one of each counts.
const ROUNDS: usize = 3;
const DAY: &str = "2026-05-20";

/// What a quote reads: the plan with its active version, its add-on, the price of what the plan does not cover.
const PLAN: &str =
    "select p.code, p.name, p.created_at as plan_created_at, p.last_version, v.id, v.version, v.status,
    v.base_price_cents, v.currency, v.created_at, v.published_at, v.retired_at, i.resource_kind, i.included_qty,
    i.overage_unit, i.overage_price_cents, i.hard_cap_qty
    from biller.plans p
      left join biller.plan_versions v on v.plan_code = p.code and v.status = 'active'
      left join biller.plan_items i on i.plan_version_id = v.id
    where p.code = $1 order by i.resource_kind";
const ADDONS: &str = "select code, name, resource_kind, qty, price_cents, currency, created_at
    from biller.addons where code = any($1) order by code";
const PRICES: &str =
    "select distinct on (resource_kind) resource_kind, currency, effective_from, unit, unit_price_cents
    from biller.resource_prices where resource_kind = any($1) and currency = $2 and effective_from <= $3
    order by resource_kind, effective_from desc";

pub async fn run() {
    println!("\n# quote: POST /quote, a plan, an add-on, six kinds of usage, {CONNECTIONS} connections");
    let world = World::start_alone().await;
    let _biller = world.run(Service::Biller, Vec::new());
    let (_gateway, url) = world.run_gateway().await;
    let operator = Gateway::new(url.clone(), tokens::operator());
    within(Duration::from_secs(30), "the catalog can be seeded", || async {
        seed::catalog(&operator).await.map(drop).map_err(|error| format!("{error:#}"))
    })
    .await;
    let mut superuser = world.superuser(Service::Biller).await;
    sqlx::query("vacuum analyze").execute(&mut superuser).await.expect("vacuum runs");

    let wish = json!({
        "plan_code": "studio", "addons": ["storage_50gb"], "starts_on": DAY,
        "projected_usage": {
            "droplet_hours": "1600", "spaces_gb_month": "200", "snapshot_gb_month": "60.5", "dns_zones": "7",
            "llm_tokens": 1_500_000, "droplet_backup_gb_month": "12.25",
        },
    })
    .to_string();
    let token = tokens::tenant("acme");
    let quote = quote(&url, &token, &wish).await;
    let lines = quote["overage"]["lines"].as_array().map_or(0, Vec::len);
    assert_eq!(lines, 6, "every kind is charged: {quote}");
    println!(
        "setting: an answer of {} bytes; floor: the same three statements, as many bytes",
        quote.to_string().len()
    );

    let request = |address: &str, path: &str, more: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\n{more}content-type: application/json\r\ncontent-length: {}\r\n\r\n{wish}",
            wish.len()
        )
    };
    let address = url.trim_start_matches("http://").to_owned();
    let own_request = request(&address, "/api/v1/quote", &format!("authorization: Bearer {token}\r\n"));
    let answer = Arc::new(quote);
    let floor_address =
        floor::start(&world, Service::Biller, move |pool| same(pool, Arc::clone(&answer))).await;
    let floor_request = request(&floor_address, "/floor", "");

    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        load::run(&floor_address, &floor_request, CONNECTIONS, WARM_UP).await;
        floors.push(load::run(&floor_address, &floor_request, CONNECTIONS, DURATION).await);
        load::run(&address, &own_request, CONNECTIONS, WARM_UP).await;
        ours.push(load::run(&address, &own_request, CONNECTIONS, DURATION).await);
    }
    let (floor, ours) = (load::middle(floors), load::middle(ours));
    floor.print("floor");
    ours.print("ours");
    println!("ratio of requests/s: {:.2} (wanted: at least 0.50)", ours.per_second() / floor.per_second());
}

async fn quote(url: &str, token: &str, wish: &str) -> Value {
    let answer = reqwest::Client::new()
        .post(format!("{url}/api/v1/quote"))
        .bearer_auth(token)
        .header("content-type", "application/json")
        .body(wish.to_owned())
        .send()
        .await
        .expect("the gateway answers");
    assert!(answer.status().is_success(), "{answer:?}");
    serde_json::from_str(&answer.text().await.expect("an answer can be read")).expect("a quote is JSON")
}

async fn same(pool: PgPool, answer: Arc<Value>) -> Vec<u8> {
    let day: chrono::NaiveDate = DAY.parse().expect("a day");
    let plan = sqlx::query(PLAN).bind("studio").fetch_all(&pool).await.expect("a plan");
    let addons = sqlx::query(ADDONS).bind(["storage_50gb"]).fetch_all(&pool).await.expect("add-ons");
    let prices = sqlx::query(PRICES).bind(["droplet_backup_gb_month"]).bind("AUD").bind(day);
    let prices = prices.fetch_all(&pool).await.expect("prices");
    assert_eq!((plan.len(), addons.len(), prices.len()), (6, 1, 1), "the seeded catalog");
    serde_json::to_vec(&*answer).expect("JSON serialises")
}
