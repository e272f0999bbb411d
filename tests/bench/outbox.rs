//! Line 18: how fast 100 000 waiting events leave the outbox, against publishing the same bytes and nothing else.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use contracts::Service;
use messaging::{
    batch::{self, BATCH_MAX, Outgoing},
    publisher,
};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use test_support::World;
use tokio_util::sync::CancellationToken;

const EVENTS: i64 = 100_000;

pub async fn run() {
    println!("\n# outbox: drain of {EVENTS} waiting events");
    let floor = publish_only().await;
    let drain = drain().await;
    let rate = |elapsed: Duration| EVENTS as f64 / elapsed.as_secs_f64();
    println!("floor: the same bytes published in atomic batches of {BATCH_MAX}: {:.0}/s", rate(floor));
    println!("drain: read, published, marked: {:.0}/s", rate(drain));
    println!("ratio: {:.2} (wanted: at least 0.40)", floor.as_secs_f64() / drain.as_secs_f64());
}

/// Rows as syncer writes them: a discovered droplet of about 700 bytes.
async fn fill(connection: &mut PgConnection) {
    let statement = format!(
        "with added as (insert into outbox (subject, headers, payload)
         select 'evt.syncer.resource.discovered.v1.' || id,
                json_build_object('ce-specversion', '1.0', 'ce-id', id, 'ce-source', 'arcadia://syncer',
                  'ce-type', 'evt.syncer.resource.discovered.v1', 'ce-subject', id, 'ce-time', now(),
                  'content-type', 'application/json', 'Nats-Msg-Id', id, 'Arcadia-Tenant', 'acme',
                  'traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'),
                convert_to('{{\"resource\":{{\"id\":\"' || id || '\",\"attrs\":\"' || repeat('x', 600) || '\"}}}}', 'UTF8')
         from (select gen_random_uuid() id from generate_series(1, {EVENTS})) ids returning outbox.id)
         insert into outbox_unpublished select id from added"
    );
    sqlx::query(AssertSqlSafe(statement)).execute(connection).await.expect("the outbox takes rows");
}

async fn publish_only() -> Duration {
    let world = World::start_alone().await;
    let mut connection = world.superuser(Service::Syncer).await;
    fill(&mut connection).await;
    let rows = sqlx::query("select subject, headers, payload from outbox order by id")
        .fetch_all(&mut connection)
        .await
        .expect("rows can be read");
    let messages: Vec<Outgoing> = rows
        .into_iter()
        .map(|row| {
            let headers: sqlx::types::Json<BTreeMap<String, String>> = row.get(1);
            Outgoing::new(row.get(0), headers.0, Bytes::from(row.get::<Vec<u8>, _>(2)))
        })
        .collect();
    let nats = world.connect("syncer").await;
    let begun = Instant::now();
    for chunk in messages.chunks(BATCH_MAX) {
        batch::publish(&nats, chunk.to_vec()).await.expect("a batch is taken");
    }
    begun.elapsed()
}

async fn drain() -> Duration {
    let world = World::start_alone().await;
    let mut connection = world.superuser(Service::Syncer).await;
    fill(&mut connection).await;
    sqlx::query("vacuum analyze outbox, outbox_unpublished")
        .execute(&mut connection)
        .await
        .expect("vacuum runs");
    let shutdown = CancellationToken::new();
    let nats = world.connect("syncer").await;
    let begun = Instant::now();
    let publisher = tokio::spawn(publisher::run(
        Service::Syncer,
        world.database(Service::Syncer),
        nats,
        shutdown.clone(),
    ));
    loop {
        let left: i64 =
            sqlx::query_scalar("select count(*) from (select 1 from outbox_unpublished limit 1) r")
                .fetch_one(&mut connection)
                .await
                .expect("rows can be counted");
        if left == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let elapsed = begun.elapsed();
    shutdown.cancel();
    publisher.await.expect("the publisher stops");
    elapsed
}
