//! Line 19: one page of the inventory through token, NATS, row-level security and Postgres, against axum → NATS
//! request → a responder that runs the same SQL.

use std::time::Duration;

use contracts::Service;
use serde_json::{Value, json};
use sqlx::{PgPool, Row};
use test_support::{Provider, World, tokens, within};

use crate::{floor, load};

const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_secs(2);
const DURATION: Duration = Duration::from_secs(8);
/// What `GET /inventory` runs, without scope and cursor.
const SAME_SQL: &str =
    "select id, provider, kind, provider_id, name, status, region, attrs, cloud_project_id, tenant_id,
    deployment_id, first_seen_at, last_seen_at, stale_strike_count, deleted_at, version
    from syncer.cloud_resources where tenant_id = $1 and deleted_at is null order by id limit 51";

pub async fn run() {
    println!("\n# inventory: GET /inventory, one page of 50, {CONNECTIONS} connections");
    let world = World::start_alone().await;
    let provider = Provider::start().await;
    provider.account(&json!({ "droplets": 5_000 })).await;
    let syncer = world.run(Service::Syncer, provider.environment());
    let (gateway, url) = world.run_gateway().await;
    let operator = tokens::operator();
    fill(&world, &url, &operator).await;

    let address = url.trim_start_matches("http://").to_owned();
    let token = tokens::tenant("acme");
    let request = format!(
        "GET /api/v1/inventory?limit=50 HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    load::run(&address, &request, CONNECTIONS, WARM_UP).await;
    let ours = load::run(&address, &request, CONNECTIONS, DURATION).await;
    let resident = crate::machine::resident_kib(gateway.process.pid());
    drop(gateway);
    drop(syncer);

    let floor_address = floor::start(&world, Service::Syncer, page).await;
    let request = format!("GET /floor HTTP/1.1\r\nhost: {floor_address}\r\n\r\n");
    load::run(&floor_address, &request, CONNECTIONS, WARM_UP).await;
    let floor = load::run(&floor_address, &request, CONNECTIONS, DURATION).await;

    floor.print("floor");
    ours.print("ours");
    println!("ratio of requests/s: {:.2} (wanted: at least 0.50)", ours.per_second() / floor.per_second());
    let ratio = ours.percentile(99).as_secs_f64() / floor.percentile(99).as_secs_f64();
    println!("ratio of p99: {ratio:.2} (wanted: at most 2.00)");
    println!("gateway resident under load: at most {:.1} MiB", resident.1 as f64 / 1024.0);
}

/// Syncs 5 000 droplets and makes them one tenant's.
async fn fill(world: &World, url: &str, operator: &str) {
    let client = reqwest::Client::new();
    within(Duration::from_secs(30), "a sync can be asked for", || async {
        let answer = client
            .post(format!("{url}/api/v1/inventory/listings/droplets/sync"))
            .bearer_auth(operator)
            .send()
            .await
            .map_err(|error| error.to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(answer.text().await.unwrap_or_default()) }
    })
    .await;
    let mut superuser = world.superuser(Service::Syncer).await;
    within(Duration::from_secs(60), "the droplets arrive", async || {
        let count: i64 = sqlx::query_scalar("select count(*) from cloud_resources")
            .fetch_one(&mut superuser)
            .await
            .map_err(|error| error.to_string())?;
        if count == 5_000 { Ok(()) } else { Err(count.to_string()) }
    })
    .await;
    sqlx::query("update cloud_resources set tenant_id = 'acme'")
        .execute(&mut superuser)
        .await
        .expect("rows change");
    sqlx::query("vacuum analyze cloud_resources").execute(&mut superuser).await.expect("vacuum runs");
}

async fn page(pool: PgPool) -> Vec<u8> {
    let rows = sqlx::query(SAME_SQL).bind("acme").fetch_all(&pool).await.expect("rows");
    let items: Vec<Value> = rows
        .iter()
        .take(50)
        .map(|row| {
            json!({
                "id": row.get::<uuid::Uuid, _>("id"),
                "provider": row.get::<String, _>("provider"),
                "kind": row.get::<String, _>("kind"),
                "provider_id": row.get::<String, _>("provider_id"),
                "name": row.get::<String, _>("name"),
                "status": row.get::<String, _>("status"),
                "region": row.get::<Option<String>, _>("region"),
                "attrs": row.get::<Value, _>("attrs"),
                "tenant_id": row.get::<Option<String>, _>("tenant_id"),
                "first_seen_at": row.get::<chrono::DateTime<chrono::Utc>, _>("first_seen_at"),
                "last_seen_at": row.get::<chrono::DateTime<chrono::Utc>, _>("last_seen_at"),
                "stale_strike_count": row.get::<i16, _>("stale_strike_count"),
                "version": row.get::<i64, _>("version"),
            })
        })
        .collect();
    serde_json::to_vec(&json!({ "items": items })).expect("JSON serialises")
}
