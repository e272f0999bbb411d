//! Every named place: the process dies there, another takes its place, and in the end each event is in the
//! stream once, each read model has every resource, and usage is what its producer says.

use std::time::Duration;

use contracts::{Service, permissions, streams::Stream};
use messaging::failpoint;
use serde_json::json;
use test_support::{Provider, World, programs::Program, within};

use crate::usage;

const DROPLETS: i64 = 250;

/// What goes on while a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Syncer finds droplets, and meterer hears of them.
    Inventory,
    /// Meterer takes usage.
    Usage,
}

/// Who passes a place, and at what.
fn passed(place: &str) -> (Service, Work) {
    match place.split('.').next() {
        Some("outbox" | "perform") => (Service::Syncer, Work::Inventory),
        Some("handle") => (Service::Meterer, Work::Inventory),
        Some("follow") => (Service::Meterer, Work::Usage),
        _ => panic!("nobody is known to pass {place}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_place_loses_nothing_and_doubles_nothing() {
    for place in failpoint::ALL {
        let world = World::start().await;
        match passed(place) {
            (dying, Work::Inventory) => dies_at_the_inventory(&world, place, dying).await,
            (dying, Work::Usage) => dies_at_usage(&world, place, dying).await,
        }
    }
}

/// Waits until a process has died where it was to.
async fn died(mortal: &Program, place: &str) {
    let died = mortal.process.exited_within(Duration::from_secs(30)).await;
    assert!(died.is_some(), "{place} was never reached:\n{}", mortal.printed());
    assert!(mortal.printed().contains(&format!("died at {place}")), "{}", mortal.printed());
}

async fn dies_at_the_inventory(world: &World, place: &str, dying: Service) {
    let provider = Provider::start().await;
    provider.account(&json!({ "droplets": DROPLETS })).await;
    let fault = |service: Service| {
        let chosen = (failpoint::VARIABLE, place.to_owned());
        if service == dying { vec![chosen] } else { Vec::new() }
    };
    let syncer_with = |more: Vec<(&'static str, String)>| {
        let environment = provider.environment().into_iter().chain(more).collect();
        world.run(Service::Syncer, environment)
    };
    let mut syncer = syncer_with(fault(Service::Syncer));
    let mut meterer = world.run(Service::Meterer, fault(Service::Meterer));
    let admin = world.connect(permissions::ADMIN).await;
    messaging::provision::tick_now(&admin, &local::sources::nats_dir()).await.unwrap();

    died(if dying == Service::Syncer { &syncer } else { &meterer }, place).await;
    if dying == Service::Syncer {
        syncer = syncer_with(Vec::new());
    } else {
        meterer = world.run(Service::Meterer, Vec::new());
    }

    // A tick that was in hand comes again when the server has waited for its acknowledgement.
    let mut meterer_rows = world.superuser(Service::Meterer).await;
    within(Duration::from_secs(90), place, async || {
        let count: i64 = sqlx::query_scalar(
            "select count(distinct resource_id) from resource_state where kind = 'droplet'",
        )
        .fetch_one(&mut meterer_rows)
        .await
        .unwrap();
        if count == DROPLETS { Ok(()) } else { Err(count) }
    })
    .await;
    each_event_is_stored_once(world, place).await;
    drop((syncer, meterer));
}

async fn dies_at_usage(world: &World, place: &str, dying: Service) {
    let _biller = world.run(Service::Biller, Vec::new());
    let mortal = world.run(dying, vec![(failpoint::VARIABLE, place.to_owned())]);
    let targets = vec![usage::target(901, "acme", "AUD"), usage::target(902, "globex", "EUR")];
    usage::announce(world, &targets).await;
    usage::known(world, &targets).await;
    let plan = usage::plan(1, place.split('.').next_back().unwrap_or_default(), 4_000, targets);
    usage::publish(world, &plan, None).await.await;
    died(&mortal, place).await;

    let _another = world.run(dying, Vec::new());
    usage::taken(world, Duration::from_secs(60)).await;
    usage::comes_to(world, &[plan]).await;
}

/// The stream holds as many events as were told, once everything is published; never more.
async fn each_event_is_stored_once(world: &World, place: &str) {
    let mut superuser = world.superuser(Service::Syncer).await;
    let admin = world.connect(permissions::ADMIN).await;
    within(Duration::from_secs(30), place, async || {
        let before = told(&mut superuser).await;
        let (first, last) = admin.events_bounds().await.unwrap();
        let stored = i64::try_from(last + 1 - first).unwrap();
        // Between two looks that agree nothing was told, so what is stored then is all of it.
        match (before, told(&mut superuser).await) {
            ((before, 0), (after, 0)) if before == after => {
                assert!(
                    stored <= after,
                    "{place}: {} holds {stored} events, {after} were told",
                    Stream::Events.name()
                );
                if stored == after { Ok(()) } else { Err(format!("{stored} of {after}")) }
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// Events of syncer's outbox, and messages that are not published yet.
async fn told(superuser: &mut sqlx::PgConnection) -> (i64, i64) {
    sqlx::query_as(
        "select (select count(*) from outbox where subject like 'evt.%'), (select count(*) from outbox_unpublished)",
    )
    .fetch_one(superuser)
    .await
    .unwrap()
}
