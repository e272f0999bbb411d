//! A meterer that starts anew, on an empty database, comes to what the one before it had.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use contracts::{
    Message, Service,
    meterer::MeterDays,
    permissions::{self, ADMIN},
    streams,
    syncer::{ResourceDeleted, ResourceDiscovered, ResourceKind, ResourceUpdated},
};
use local::usage::Target;
use messaging::{
    outbox::{self, Draft},
    provision,
};
use serde_json::{Map, Value, json};
use test_support::{Provider, World, within};
use uuid::Uuid;

use crate::{
    outage::{count, resource},
    usage,
};

/// Tells of resources as syncer told of them in the past days: each is found, changes, and some are gone at the end.
async fn past(world: &World, targets: &[Target]) -> i64 {
    let now: DateTime<Utc> = SystemTime::now().into();
    let kinds = [ResourceKind::Droplet, ResourceKind::DnsZone, ResourceKind::Snapshot, ResourceKind::Volume];
    let mut drafts = Vec::new();
    for (number, kind) in (0..40i64).zip(kinds.into_iter().cycle()) {
        let at = |hours: i64| now - TimeDelta::days(11) + TimeDelta::hours(number * 5 + hours);
        let target = |index: i64| &targets[usize::try_from(index).unwrap() % targets.len()];
        let mut state = resource(Uuid::now_v7(), 1).resource;
        state.kind = kind;
        if number % 5 != 0 {
            state.attrs.insert("size_gigabytes".to_owned(), json!(number));
        }
        state.deployment_id = Some(target(number).deployment_id);
        state.tenant_id = Some(target(number).tenant_id.clone());
        let found = ResourceDiscovered { resource: state.clone() };
        drafts.push(Draft::event(Service::Syncer, &found, at(0)));

        state.version = 2;
        state.status = "off".to_owned();
        state.deployment_id = Some(target(number + 1).deployment_id);
        state.tenant_id = Some(target(number + 1).tenant_id.clone());
        let changed = ResourceUpdated { resource: state.clone(), changes: Vec::new() };
        drafts.push(Draft::event(Service::Syncer, &changed, at(30)));
        if number % 3 == 0 {
            state.version = 3;
            state.status = "deleted".to_owned();
            state.deleted_at = Some(at(50));
            drafts.push(Draft::event(Service::Syncer, &ResourceDeleted { resource: state }, at(50)));
        }
    }
    let drafts: Vec<Draft> = drafts.into_iter().map(Result::unwrap).collect();
    let pool = world.pool(Service::Syncer).await;
    let mut tx = pool.begin().await.unwrap();
    outbox::add(&mut tx, &drafts).await.unwrap();
    tx.commit().await.unwrap();
    i64::try_from(drafts.len()).unwrap()
}

/// Everything that was metered, and how far.
async fn metered(world: &World) -> Vec<String> {
    let mut superuser = world.superuser(Service::Meterer).await;
    sqlx::query_scalar(
        "select to_json(record)::text from usage_records record
         union all select to_json(unmetered)::text from unmetered_resources unmetered
         union all select to_json(progress)::text from metering_progress progress
         order by 1",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap()
}

/// Has the job run that meters days, as the schedule would.
async fn meter_days(world: &World) {
    let folder = world.folder().join("ticks");
    std::fs::create_dir_all(&folder).unwrap();
    let schedules = std::fs::read(local::sources::nats_dir().join("schedules.json")).unwrap();
    let mut schedules: Map<String, Value> = serde_json::from_slice(&schedules).unwrap();
    schedules.retain(|_, schedule| schedule["job"] == MeterDays::SUBJECT);
    assert_eq!(schedules.len(), 1);
    std::fs::write(folder.join("schedules.json"), json!(schedules).to_string()).unwrap();
    let admin = world.connect(ADMIN).await;
    provision::tick_now(&admin, &folder).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meterer_on_an_empty_database_comes_to_the_same_records() {
    let world = World::start().await;
    let provider = Provider::start().await;
    let programs =
        [world.run(Service::Syncer, provider.environment()), world.run(Service::Biller, Vec::new())];
    let targets = vec![usage::target(901, "acme", "AUD"), usage::target(902, "globex", "EUR")];
    usage::announce(&world, &targets).await;
    let told = past(&world, &targets).await;
    let meterer = world.run(Service::Meterer, Vec::new());
    usage::known(&world, &targets).await;
    let plan = usage::plan(7, "once", 3_000, targets.clone());
    usage::publish(&world, &plan, None).await.await;
    let plans = [plan];
    usage::taken(&world, Duration::from_secs(60)).await;
    usage::comes_to(&world, &plans).await;

    within(Duration::from_secs(30), "every state is known", async || {
        let states = count(&world, Service::Meterer, "select count(*) from resource_state").await;
        if states == told { Ok(()) } else { Err(states) }
    })
    .await;
    meter_days(&world).await;
    let now: DateTime<Utc> = SystemTime::now().into();
    let last = meterer::domain::calendar::last_complete(now);
    let through = "select coalesce(metered_through - date '2000-01-01', 0)::bigint from metering_progress";
    let last = (last - NaiveDate::from_ymd_opt(2000, 1, 1).unwrap()).num_days();
    within(Duration::from_secs(30), "every complete day is metered", async || {
        let through = count(&world, Service::Meterer, through).await;
        if through == last { Ok(()) } else { Err(through) }
    })
    .await;
    let lived = metered(&world).await;
    assert!(lived.len() > 100, "only {} records", lived.len());

    // Nothing is left but what a new database has, and the server does not remember how far anything was read.
    drop(meterer);
    empty(&world).await;
    assert_eq!(metered(&world).await.len(), 1);
    let _meterer = world.run(Service::Meterer, Vec::new());
    within(Duration::from_secs(60), "the records are the same", async || {
        // The job comes while the history is being read as well: then it meters too early, and once more later.
        meter_days(&world).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let metered = metered(&world).await;
        if metered == lived { Ok(()) } else { Err(format!("{} of {}", metered.len(), lived.len())) }
    })
    .await;
    usage::taken(&world, Duration::from_secs(60)).await;
    usage::known(&world, &targets).await;
    usage::comes_to(&world, &plans).await;
    drop(programs);
}

/// Empties meterer's database and forgets its consumers, as its README says.
async fn empty(world: &World) {
    let mut superuser = world.superuser(Service::Meterer).await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I', tablename) from pg_tables
         where schemaname = 'meterer' and tablename not in ('metering_config', 'metering_progress')",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    let truncate = sqlx::AssertSqlSafe(format!("truncate {}", tables.join(", ")));
    sqlx::query(truncate).execute(&mut superuser).await.unwrap();
    sqlx::query("update metering_progress set metered_through = null, states_kept_from = null")
        .execute(&mut superuser)
        .await
        .unwrap();
    let client = async_nats::ConnectOptions::new()
        .user_and_password(ADMIN.to_owned(), world.nats.password(ADMIN).to_owned())
        .custom_inbox_prefix(permissions::inbox_prefix(ADMIN))
        .connect(world.nats.url())
        .await
        .unwrap();
    let jetstream = async_nats::jetstream::new(client);
    for consumer in streams::consumers().into_iter().filter(|consumer| consumer.service == Service::Meterer) {
        jetstream.delete_consumer_from_stream(&consumer.name, consumer.stream.name()).await.unwrap();
    }
    world.provision().await;
}
