//! Line 12: a day of 100 000 attributed resources metered, against the bare INSERT … SELECT of the same records into an
//! equal table.

use std::time::{Duration, Instant};

use chrono::{Days, NaiveDate, Utc};
use contracts::Service;
use meterer::store::{lock_metering, metering::meter_day};
use sqlx::{Connection, PgConnection};
use test_support::World;

use crate::machine;

const RESOURCES: i64 = 100_000;
const DEPLOYMENTS: i64 = 1_000;
/// Days, each metered and then copied; the middle one of each counts.
const ROUNDS: u64 = 3;

pub async fn run() {
    println!("\n# metering: a day of {RESOURCES} attributed resources of {DEPLOYMENTS} deployments");
    let world = World::start_alone().await;
    let mut superuser = world.superuser(Service::Meterer).await;
    machine::print_postgres(&mut superuser).await;
    fill(&mut superuser).await;
    let mut meterer = world.pool(Service::Meterer).await.acquire().await.expect("a connection").detach();

    let (mut ours, mut floors, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let day = Utc::now().date_naive() - Days::new(round);
        settle(&mut superuser).await;
        ours.push(meter(&mut meterer, day, RESOURCES).await);
        settle(&mut superuser).await;
        floors.push(copy(&mut superuser, day).await);
        again.push(meter(&mut meterer, day, 0).await);
    }
    let (ours, floor, again) = (middle(ours), middle(floors), middle(again));
    let rate = |elapsed: Duration| RESOURCES as f64 / elapsed.as_secs_f64();
    println!(
        "floor: bare INSERT … SELECT and commit: {:.2} s, {:.0} rows/s",
        floor.as_secs_f64(),
        rate(floor)
    );
    println!("ours: meter_day and commit: {:.2} s, {:.0} rows/s", ours.as_secs_f64(), rate(ours));
    println!("metered again, nothing changed: {:.2} s", again.as_secs_f64());
    println!("ratio: {:.2} (wanted: at most 3.00)", ours.as_secs_f64() / floor.as_secs_f64());
}

/// Resources of every metered kind, each with one state that holds since long ago; and the table that is equal.
async fn fill(superuser: &mut PgConnection) {
    sqlx::query(
        "insert into resource_state
           (resource_id, version, from_at, kind, name, status, size_gigabytes, deployment_id, tenant_id, deleted)
         select gen_random_uuid(), 1, now() - interval '60 days' - r.n * interval '1 second', r.kind, r.kind || '-' || r.n,
                case when r.n % 20 = 0 then 'off' else 'active' end,
                case when r.kind in ('spaces_bucket', 'snapshot', 'droplet_backup') then (r.n % 5000)::numeric / 16 end,
                deployment.id, 'tenant-' || deployment.n % 100, false
         from (select n, (array['droplet', 'spaces_bucket', 'snapshot', 'droplet_backup', 'dns_zone'])[n % 5 + 1] as kind
               from generate_series(1, $1) n) r
         join (select n, gen_random_uuid() as id from generate_series(0, $2 - 1) n) deployment
           on deployment.n = r.n * 7 % $2",
    )
    .bind(RESOURCES)
    .bind(DEPLOYMENTS)
    .execute(&mut *superuser)
    .await
    .expect("the states can be saved");
    sqlx::query("create table equal_records (like usage_records including all)")
        .execute(&mut *superuser)
        .await
        .expect("a table can be made");
    sqlx::query("vacuum analyze resource_state").execute(superuser).await.expect("vacuum runs");
}

/// What earlier work left to do is done before a clock runs.
async fn settle(superuser: &mut PgConnection) {
    for statement in ["vacuum analyze usage_records", "vacuum analyze equal_records", "checkpoint"] {
        sqlx::query(statement).execute(&mut *superuser).await.expect("it can be tidied");
    }
}

async fn meter(meterer: &mut PgConnection, day: NaiveDate, changed: i64) -> Duration {
    let begun = Instant::now();
    let mut tx = meterer.begin().await.expect("a transaction");
    lock_metering(&mut tx).await.expect("nobody else meters");
    let metered = meter_day(&mut tx, day, Utc::now()).await.expect("a day can be metered");
    tx.commit().await.expect("it is kept");
    let elapsed = begun.elapsed();
    assert_eq!((metered.records, metered.changed), (RESOURCES.unsigned_abs(), changed.unsigned_abs()));
    elapsed
}

async fn copy(superuser: &mut PgConnection, day: NaiveDate) -> Duration {
    let begun = Instant::now();
    let copied = sqlx::query(
        "insert into equal_records
         select * from usage_records where period_start = $1::date::timestamp at time zone 'UTC'",
    )
    .bind(day)
    .execute(superuser)
    .await
    .expect("records can be copied");
    assert_eq!(copied.rows_affected(), RESOURCES.unsigned_abs());
    begun.elapsed()
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
