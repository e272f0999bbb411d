//! Line 19: one page of the inventory through token, NATS, row-level security and Postgres, against axum → NATS
//! request → a responder that runs the same SQL.

use std::time::Duration;

use axum::{Router, body::Body, extract::State, http::header, response::Response, routing::get};
use contracts::Service;
use futures::StreamExt;
use serde_json::{Value, json};
use sqlx::{PgPool, Row};
use test_support::{Provider, World, tokens, within};

use crate::load::{self, Figures};

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

    let floor_address = start_floor(&world).await;
    let request = format!("GET /floor HTTP/1.1\r\nhost: {floor_address}\r\n\r\n");
    load::run(&floor_address, &request, CONNECTIONS, WARM_UP).await;
    let floor = load::run(&floor_address, &request, CONNECTIONS, DURATION).await;

    print("floor", &floor);
    print("ours", &ours);
    println!("ratio of requests/s: {:.2} (wanted: at least 0.50)", ours.per_second() / floor.per_second());
    let ratio = ours.percentile(99).as_secs_f64() / floor.percentile(99).as_secs_f64();
    println!("ratio of p99: {ratio:.2} (wanted: at most 2.00)");
    println!("gateway resident under load: at most {:.1} MiB", resident.1 as f64 / 1024.0);
}

fn print(what: &str, figures: &Figures) {
    println!(
        "{what}: {:.0} requests/s, p50 {:.1} ms, p99 {:.1} ms",
        figures.per_second(),
        figures.percentile(50).as_secs_f64() * 1000.0,
        figures.percentile(99).as_secs_f64() * 1000.0,
    );
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

async fn start_floor(world: &World) -> String {
    let settings = world.nats.url();
    let password = world.nats.password("admin").to_owned();
    let connect = async || {
        async_nats::ConnectOptions::with_user_and_password("admin".to_owned(), password.clone())
            .connect(&settings)
            .await
            .expect("nats is there")
    };
    let (responder, asker) = (connect().await, connect().await);
    let pool = world.pool(Service::Syncer).await;
    let mut requests =
        responder.queue_subscribe("floor.inventory", "floor".to_owned()).await.expect("a subject");
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let (responder, pool) = (responder.clone(), pool.clone());
            tokio::spawn(async move {
                let body = page(&pool).await;
                let reply = request.reply.expect("a request");
                responder.publish(reply, body.into()).await.expect("nats takes it");
            });
        }
    });
    let app = Router::new().route("/floor", get(ask)).with_state(asker);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move { axum::serve(listener, app).await.expect("the floor serves") });
    address
}

async fn ask(State(nats): State<async_nats::Client>) -> Response {
    let answer = nats.request("floor.inventory", "{}".into()).await.expect("the responder answers");
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(answer.payload))
        .expect("a response")
}

async fn page(pool: &PgPool) -> Vec<u8> {
    let rows = sqlx::query(SAME_SQL).bind("acme").fetch_all(pool).await.expect("rows");
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
