//! The running service on the stream of usage: nothing lost and nothing doubled, whoever dies.

use std::{collections::BTreeMap, time::SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use contracts::{
    Service,
    biller::DeploymentCreated,
    llm_gateway::{PRODUCER, SEQUENCE},
    parked::{ListParked, ParkedStatus, ParkedSummary, ReplayParked},
    permissions::LLM_GATEWAY,
};
use contracts::{
    paging::{Page, PageRequest},
    parked::PerService,
};
use messaging::{
    IdempotencyKey, Nats,
    batch::{self, Outgoing},
    failpoint,
    outbox::{self, Draft},
    publisher,
};
use serde_json::{Value, json};
use test_support::{World, eventually, world::terminate};
use tokio_util::sync::CancellationToken;

use crate::{
    lab::{OWNER, deployment, operator},
    llm::{event, last_deployment, subject, unequal_sums, with},
};

struct Gateway {
    nats: Nats,
    sent: u64,
}

impl Gateway {
    async fn connect(world: &World) -> Self {
        Self { nats: world.connect(LLM_GATEWAY).await, sent: 0 }
    }

    /// Publishes bodies, numbered.
    async fn publish(&mut self, bodies: &[Value]) {
        let mut messages = Vec::new();
        for body in bodies {
            self.sent += 1;
            let headers = BTreeMap::from([
                (PRODUCER.to_owned(), "gw-1".to_owned()),
                (SEQUENCE.to_owned(), self.sent.to_string()),
            ]);
            messages.push(Outgoing::new(subject(body), headers, body.to_string().into()));
        }
        for chunk in messages.chunks(batch::BATCH_MAX) {
            batch::publish(&self.nats, chunk.to_vec()).await.unwrap();
        }
    }
}

/// So many requests of an hour ago, each 0.1.
fn requests(range: std::ops::Range<u32>) -> Vec<Value> {
    let at: DateTime<Utc> = DateTime::from(SystemTime::now()) - TimeDelta::hours(1);
    range.map(|number| with(event(&format!("req-{number:06}")), &[("occurred_at", json!(at))])).collect()
}

/// Biller tells of a deployment, by the stream.
async fn announce(world: &World, number: u128, currency: &str, version: i64) {
    let deployment = last_deployment(number, "acme", Some(currency), version).deployment;
    let at = SystemTime::now().into();
    let draft = Draft::event(Service::Biller, &DeploymentCreated { deployment }, at).unwrap();
    let pool = world.pool(Service::Biller).await;
    let mut tx = pool.begin().await.unwrap();
    outbox::add(&mut tx, &[draft]).await.unwrap();
    tx.commit().await.unwrap();
    let stop = CancellationToken::new();
    let nats = world.connect(Service::Biller.name()).await;
    let publishing =
        tokio::spawn(publisher::run(Service::Biller, world.database(Service::Biller), nats, stop.clone()));
    eventually("the deployment is told", async || {
        let left = sqlx::query_scalar!(r#"select count(*) as "count!" from outbox_unpublished"#);
        match left.fetch_one(&pool).await.unwrap() {
            0 => Ok(()),
            left => Err(left),
        }
    })
    .await;
    stop.cancel();
    publishing.await.unwrap();
}

/// Waits until so many requests count, and looks whether they count once.
async fn counts(world: &World, requests: i64) {
    let mut superuser = world.superuser(OWNER).await;
    eventually("usage is counted", async || {
        let counted = sqlx::query_scalar!(
            r#"select coalesce(sum(requests), 0)::bigint as "count!" from meterer.llm_usage_daily"#
        )
        .fetch_one(&mut superuser)
        .await
        .unwrap();
        if counted >= requests { Ok(()) } else { Err(counted) }
    })
    .await;
    let sums = sqlx::query!(
        r#"select sum(requests)::bigint as "requests!", (sum(charge) * 10)::bigint as "charges!"
           from meterer.llm_usage_daily"#
    )
    .fetch_one(&mut superuser)
    .await
    .unwrap();
    assert_eq!((sums.requests, sums.charges), (requests, requests));
    assert_eq!(unequal_sums(&mut superuser).await, 0);
}

async fn known(world: &World, number: u128) {
    let mut superuser = world.superuser(OWNER).await;
    let id = deployment(number).as_uuid();
    eventually("the deployment is known", async || {
        let known = sqlx::query!("select version from meterer.known_deployment where deployment_id = $1", id);
        known.fetch_optional(&mut superuser).await.unwrap().ok_or(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meterer_that_dies_anywhere_loses_and_doubles_nothing() {
    let world = World::start().await;
    announce(&world, 900, "AUD", 1).await;
    let mut gateway = Gateway::connect(&world).await;
    let first = world.run(OWNER, Vec::new());
    known(&world, 900).await;
    assert!(terminate(&first).await.success(), "{}", first.printed());

    let mut expected = 0;
    for place in ["follow.taken", "follow.committed", "follow.taken"] {
        let dying = world.run(OWNER, vec![(failpoint::VARIABLE, place.to_owned())]);
        gateway.publish(&requests(expected..expected + 1500)).await;
        expected += 1500;
        let died = dying.process.exited_within(std::time::Duration::from_secs(20)).await;
        assert!(died.is_some_and(|status| !status.success()), "it was to die at {place}");
    }
    let (one, two) = (world.run(OWNER, Vec::new()), world.run(OWNER, Vec::new()));
    // Half of it again, with other numbers: what counts is the id.
    gateway.publish(&requests(3000..4500)).await;
    gateway.publish(&requests(4500..4600)).await;
    counts(&world, 4600).await;
    let missing =
        sqlx::query!(r#"select highest, isempty(missing) as "whole!" from meterer.usage_producers"#)
            .fetch_one(&mut world.superuser(OWNER).await)
            .await
            .unwrap();
    assert_eq!((missing.highest, missing.whole), (6100, true));
    for program in [one, two] {
        assert!(terminate(&program).await.success(), "{}", program.printed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_lost_is_followed_anew_and_counts_what_is_new() {
    let mut world = World::start().await;
    announce(&world, 900, "AUD", 1).await;
    let program = world.run(OWNER, Vec::new());
    known(&world, 900).await;
    let mut gateway = Gateway::connect(&world).await;
    gateway.publish(&requests(0..500)).await;
    counts(&world, 500).await;

    world.nats.wipe().await.unwrap();
    world.nats.restart().await.unwrap();
    world.provision().await;
    // A gateway that does not know what had arrived sends it all again.
    let mut gateway = Gateway::connect(&world).await;
    gateway.publish(&requests(0..600)).await;
    counts(&world, 600).await;
    assert!(terminate(&program).await.success(), "{}", program.printed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_replays_what_was_mended_and_hears_why_it_still_cannot_count() {
    let world = World::start().await;
    let mut gateway = Gateway::connect(&world).await;
    let program = world.run(OWNER, Vec::new());
    let mut bodies = requests(0..2);
    bodies[1]["currency"] = json!("USD");
    // Before anybody has heard of the deployment.
    gateway.publish(&bodies).await;
    let asker = world.connect(Service::GatewayApi.name()).await;
    let aside = async |expected: usize| -> Vec<ParkedSummary> {
        let query = ListParked { status: ParkedStatus::Parked, page: PageRequest::default() };
        eventually("messages are set aside", async || {
            let answer = asker.ask(OWNER, &query, None).await.map_err(|problem| problem.to_string())?;
            let page: Page<ParkedSummary> = serde_json::from_slice(&answer.body).unwrap();
            if page.items.len() == expected { Ok(page.items) } else { Err(format!("{:?}", page.items)) }
        })
        .await
    };
    aside(2).await;
    announce(&world, 900, "AUD", 1).await;
    counts(&world, 1).await;
    let left = aside(1).await;
    assert_eq!(left[0].reason, "the deployment's plan is in AUD, the charge in USD");

    let replay = async |id| {
        let command = ReplayParked { id, actor: operator() };
        let answer = asker.ask(OWNER, &command, Some(&IdempotencyKey::random())).await?;
        Ok::<_, contracts::Problem>(
            serde_json::from_slice::<<ReplayParked as PerService>::Reply>(&answer.body).unwrap(),
        )
    };
    let refused = replay(left[0].id).await.unwrap_err();
    assert_eq!(refused.status, 409);
    assert!(refused.detail.unwrap().contains("the charge in USD"));
    // The plan's currency was the mistake.
    announce(&world, 900, "USD", 2).await;
    let replayed = eventually("the mended message counts", async || replay(left[0].id).await).await;
    assert_eq!(replayed.status, ParkedStatus::Replayed);
    counts(&world, 2).await;
    assert!(terminate(&program).await.success(), "{}", program.printed());
}
