//! Lines 17 and 20: a full sync of a large account, first and unchanged, against the bare floor (the same pages
//! fetched and parsed, one UNNEST upsert a page), and what memory it leaves behind.

use std::time::{Duration, Instant};

use contracts::{
    Actor, Scope, Service,
    paging::Page,
    syncer::{ListListings, Listing, ListingStatus, RequestSync},
};
use digitalocean::{BudgetSize, Budgets, Client, Purpose, Settings, SnapshotSource};
use messaging::{IdempotencyKey, Nats};
use serde::Serialize;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use test_support::{Provider, World, provider::TOKEN, within};

use crate::machine::{cpu_time, cpu_time_of_tree, resident_kib};

const LISTINGS: [Listing; 3] = [Listing::Droplets, Listing::Volumes, Listing::Snapshots];

/// Wall clock, and CPU of our process and Postgres together.
struct Spent {
    wall: Duration,
    cpu: Duration,
}

pub async fn run() {
    println!("\n# sync: 20 000 droplets, 5 000 volumes, 5 000 snapshots");
    let mut world = World::start_alone().await;
    let provider = Provider::start().await;
    provider.account(&json!({ "droplets": 20_000, "volumes": 5_000, "snapshots": 5_000 })).await;
    let postgres = world.own_postgres().pid().expect("postgres runs");

    let mut connection = world.superuser(Service::Syncer).await;
    create_floor_table(&mut connection).await;
    let client = client(&provider);
    let floor_first = floor(&client, &mut connection, postgres).await;
    let floor_again = floor(&client, &mut connection, postgres).await;
    connection.close().await.expect("the connection closes");

    let syncer = world.run(Service::Syncer, provider.environment());
    let (gateway_program, _url) = world.run_gateway().await;
    let gateway = world.connect("gateway-api").await;
    let pid = syncer.process.pid();
    within(Duration::from_secs(30), "syncer answers", || statuses(&gateway)).await;
    let first = ours(&gateway, pid, postgres).await;
    // The outbox drains beside it; the unchanged run is measured when that is over.
    let mut superuser = world.superuser(Service::Syncer).await;
    within(Duration::from_secs(120), "the outbox empties", async || async_drained(&mut superuser).await)
        .await;
    let again = ours(&gateway, pid, postgres).await;

    report("first", &floor_first, &first);
    report("unchanged", &floor_again, &again);
    let (now, highest) = resident_kib(pid);
    println!("syncer resident: {:.1} MiB, at most {:.1} MiB (wanted: at most 64)", mib(now), mib(highest));
    let (now, highest) = resident_kib(gateway_program.process.pid());
    println!("gateway resident: {:.1} MiB, at most {:.1} MiB (wanted: at most 48)", mib(now), mib(highest));
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn report(what: &str, floor: &Spent, ours: &Spent) {
    let ratio = |ours: Duration, floor: Duration| ours.as_secs_f64() / floor.as_secs_f64();
    println!(
        "{what}: floor {:.2} s wall, {:.2} s CPU; ours {:.2} s wall, {:.2} s CPU; ratio {:.2} wall, {:.2} CPU (wanted: at most 2.00)",
        floor.wall.as_secs_f64(),
        floor.cpu.as_secs_f64(),
        ours.wall.as_secs_f64(),
        ours.cpu.as_secs_f64(),
        ratio(ours.wall, floor.wall),
        ratio(ours.cpu, floor.cpu),
    );
}

async fn async_drained(connection: &mut PgConnection) -> Result<(), i64> {
    let left: i64 = sqlx::query_scalar("select count(*) from outbox_unpublished")
        .fetch_one(connection)
        .await
        .expect("rows can be counted");
    if left == 0 { Ok(()) } else { Err(left) }
}

fn client(provider: &Provider) -> Client {
    let base = provider.url.parse().expect("the simulator's own URL");
    let mut settings = Settings::new(base, TOKEN.to_owned().into(), Purpose::SyncFull);
    let budgets = Budgets::new(BudgetSize { per_minute: 1_000_000, per_hour: 10_000_000 });
    settings.budget = Some(budgets.for_token(&settings.token));
    Client::new(settings).expect("good settings")
}

async fn create_floor_table(connection: &mut PgConnection) {
    sqlx::query(
        "create table floor (kind text, provider_id text, name text, status text, attrs jsonb, last_seen_at timestamptz,
         primary key (kind, provider_id))",
    )
    .execute(connection)
    .await
    .expect("a table can be made");
}

async fn floor(client: &Client, connection: &mut PgConnection, postgres: i32) -> Spent {
    let own = i32::try_from(std::process::id()).expect("a process id");
    let (begun, cpu) = (Instant::now(), cpu_time(own) + cpu_time_of_tree(postgres));
    let mut droplets = client.droplets();
    while let Some(page) = droplets.next().await.expect("a page") {
        let rows = page
            .items
            .iter()
            .map(|row| (row.id.to_string(), row.name.to_string(), row.status.to_string(), row));
        upsert(connection, "droplet", rows).await;
    }
    let mut volumes = client.volumes();
    while let Some(page) = volumes.next().await.expect("a page") {
        let rows =
            page.items.iter().map(|row| (row.id.to_string(), row.name.to_string(), String::new(), row));
        upsert(connection, "volume", rows).await;
    }
    for source in [SnapshotSource::Droplets, SnapshotSource::Volumes] {
        let mut snapshots = client.snapshots(source);
        while let Some(page) = snapshots.next().await.expect("a page") {
            let rows =
                page.items.iter().map(|row| (row.id.to_string(), row.name.to_string(), String::new(), row));
            upsert(connection, "snapshot", rows).await;
        }
    }
    Spent { wall: begun.elapsed(), cpu: cpu_time(own) + cpu_time_of_tree(postgres) - cpu }
}

async fn upsert<'a, T: Serialize + 'a>(
    connection: &mut PgConnection,
    kind: &str,
    rows: impl Iterator<Item = (String, String, String, &'a T)>,
) {
    let (mut ids, mut names, mut statuses, mut attrs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (id, name, status, row) in rows {
        ids.push(id);
        names.push(name);
        statuses.push(status);
        attrs.push(serde_json::to_value(row).expect("a row serialises"));
    }
    sqlx::query(
        "insert into floor (kind, provider_id, name, status, attrs, last_seen_at)
         select $1, id, name, status, attrs, now() from unnest($2::text[], $3::text[], $4::text[], $5::jsonb[]) as r (id, name, status, attrs)
         on conflict (kind, provider_id) do update set name = excluded.name, status = excluded.status,
           attrs = excluded.attrs, last_seen_at = excluded.last_seen_at",
    )
    .bind(kind)
    .bind(&ids)
    .bind(&names)
    .bind(&statuses)
    .bind(&attrs)
    .execute(connection)
    .await
    .expect("the floor takes rows");
}

async fn statuses(gateway: &Nats) -> Result<Vec<ListingStatus>, String> {
    let query = ListListings { scope: Scope::Operator };
    let page: Page<ListingStatus> =
        gateway.query_typed(&query).await.map_err(|problem| format!("{problem:?}"))?;
    Ok(page.items)
}

async fn ours(gateway: &Nats, pid: i32, postgres: i32) -> Spent {
    let (begun, cpu) = (Instant::now(), cpu_time(pid) + cpu_time_of_tree(postgres));
    let actor = Actor { subject: "bench".to_owned(), tenant_id: "platform-admin".parse().expect("a tenant") };
    for listing in LISTINGS {
        let completed = |statuses: Vec<ListingStatus>| {
            statuses
                .into_iter()
                .find(|status| status.listing == listing)
                .and_then(|status| status.completed_at)
        };
        let before = completed(statuses(gateway).await.expect("syncer answers"));
        let command = RequestSync { listing, actor: actor.clone() };
        gateway.command(&command, &IdempotencyKey::random()).await.expect("syncer takes the command");
        within(Duration::from_secs(300), "the sync completes", || async {
            let after = completed(statuses(gateway).await?);
            if after > before { Ok(()) } else { Err(format!("{listing:?} is not complete")) }
        })
        .await;
    }
    Spent { wall: begun.elapsed(), cpu: cpu_time(pid) + cpu_time_of_tree(postgres) - cpu }
}
