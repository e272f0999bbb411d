//! Days are metered: by schedule, by hand, again, late, and all at once.

use std::sync::Arc;

use contracts::{
    Message, Service,
    ids::BillingKind,
    meterer::{ApplyRetention, ConfigureMetering, DayMetered, Granularity, MeterDays, MeteringConfig},
    syncer::{ResourceDeleted, ResourceDiscovered, ResourceKind, ResourceState, ResourceUpdated},
};
use expect_test::expect;
use messaging::{
    outbox::{self, Draft},
    publisher,
};
use meterer::Meterer;
use sqlx::PgPool;
use test_support::{World, eventually};
use tokio_util::sync::CancellationToken;

use crate::lab::{Lab, date, deleted, deployment, handle, next, operator, resource};

/// SPEC 8: 2 droplets, 2 zones and 3 snapshots totalling 48 GB.
fn worked_example() -> Vec<ResourceState> {
    use ResourceKind::{DnsZone, Droplet, Snapshot};
    vec![
        resource(1, Droplet, None),
        resource(2, Droplet, None),
        resource(3, DnsZone, None),
        resource(4, DnsZone, None),
        resource(5, Snapshot, Some("10.5")),
        resource(6, Snapshot, Some("17.5")),
        resource(7, Snapshot, Some("20")),
    ]
}

async fn configure(lab: &Lab, kind: &str, granularity: Granularity, retention_days: i32) {
    let billing_kind: BillingKind = kind.parse().unwrap();
    let config = MeteringConfig { billing_kind, granularity, retention_days };
    lab.execute(ConfigureMetering { config, actor: operator() }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worked_example_comes_out_exactly() {
    let lab = Lab::start("2026-05-01T00:00:00Z").await;
    for resource in worked_example() {
        lab.told(resource, "2026-05-01T08:00:00Z").await;
    }
    lab.meter_at("2026-05-11T01:10:00Z").await;
    assert_eq!(lab.count().await, 70);
    // 20/31 and 480/31 to twelve places: ten days' shares are round(10 ÷ 31, 12).
    assert_eq!(
        lab.sums("2026-05-01", "2026-06-01").await,
        "dns_zones 0.645161290322, droplet_hours 480, snapshot_gb_month 15.483870967728"
    );
    lab.meter_at("2026-06-01T01:10:00Z").await;
    assert_eq!(
        lab.sums("2026-05-01", "2026-06-01").await,
        "dns_zones 2, droplet_hours 1488, snapshot_gb_month 48"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metered_kind_has_its_billing_kind_and_what_is_off_counts_nothing() {
    use ResourceKind::{DnsZone, Droplet, DropletBackup, Snapshot, SpacesBucket, Volume};
    let lab = Lab::start("2026-05-11T01:10:00Z").await;
    let mut off = resource(2, Droplet, None);
    off.status = "off".to_owned();
    let mut nobodys = resource(8, Droplet, None);
    nobodys.deployment_id = None;
    for resource in [
        resource(1, Droplet, None),
        off,
        resource(3, DnsZone, None),
        resource(4, Snapshot, Some("31")),
        resource(5, SpacesBucket, Some("62")),
        resource(6, DropletBackup, Some("0.5")),
        resource(7, Volume, Some("100")),
        nobodys,
    ] {
        lab.told(resource, "2026-05-10T08:00:00Z").await;
    }
    lab.run::<MeterDays>().await;
    expect![[r#"
        05-10 00 daily 900 of acme: droplet 1 droplet_hours 24
        05-10 00 daily 900 of acme: droplet 2 droplet_hours 0
        05-10 00 daily 900 of acme: dns_zone 3 dns_zones 0.032258064516
        05-10 00 daily 900 of acme: snapshot 4 snapshot_gb_month 0.999999999996
        05-10 00 daily 900 of acme: spaces_bucket 5 spaces_gb_month 1.999999999992
        05-10 00 daily 900 of acme: droplet_backup 6 droplet_backup_gb_month 0.016129032258
    "#]]
    .assert_eq(&lab.records().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_counts_in_its_own_state_whenever_it_is_metered() {
    let lab = Lab::start("2026-05-20T01:10:00Z").await;
    let found = resource(1, ResourceKind::Droplet, None);
    let off = next(&found, |droplet| droplet.status = "off".to_owned());
    let moved = next(&off, |droplet| {
        droplet.status = "active".to_owned();
        droplet.tenant_id = Some("globex".parse().unwrap());
        droplet.deployment_id = Some(deployment(901));
    });
    let gone = deleted(&moved, "2026-05-13T15:00:00Z");
    lab.told(found, "2026-05-10T23:59:59Z").await;
    lab.told(off, "2026-05-12T00:00:00Z").await;
    lab.told(moved, "2026-05-12T20:00:00Z").await;
    lab.told(gone, "2026-05-13T15:00:00Z").await;
    lab.run::<MeterDays>().await;
    // Used on its last day, until it was deleted.
    expect![[r#"
        05-10 00 daily 900 of acme: droplet 1 droplet_hours 24
        05-11 00 daily 900 of acme: droplet 1 droplet_hours 24
        05-12 00 daily 901 of globex: droplet 1 droplet_hours 24
        05-13 00 daily 901 of globex: droplet 1 droplet_hours 24
    "#]]
    .assert_eq(&lab.records().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_metered_twice_changes_nothing_and_says_nothing() {
    let lab = Lab::start("2026-05-11T01:10:00Z").await;
    for resource in worked_example() {
        lab.told(resource, "2026-05-10T08:00:00Z").await;
    }
    lab.told(resource(8, ResourceKind::Snapshot, None), "2026-05-10T08:00:00Z").await;
    let first = lab.meter("2026-05-10").await.unwrap();
    assert_eq!((first.records, first.changed, first.unmetered), (7, 7, 1));
    assert_eq!(
        lab.announced(DayMetered::SUBJECT).await,
        [r#"{"day":{"day":"2026-05-10","records":7,"changed":7,"unmetered":1}}"#]
    );
    let written =
        sqlx::query_scalar!(r#"select sum(xmin::text::bigint)::text as "xmins!" from meterer.usage_records"#);
    let before = written.fetch_one(&lab.meterer.pool).await.unwrap();

    let again = lab.meter("2026-05-10").await.unwrap();
    assert_eq!((again.records, again.changed, again.unmetered), (7, 0, 1));
    lab.run::<MeterDays>().await;
    assert_eq!(lab.announced(DayMetered::SUBJECT).await, [""; 0]);
    let written =
        sqlx::query_scalar!(r#"select sum(xmin::text::bigint)::text as "xmins!" from meterer.usage_records"#);
    assert_eq!(written.fetch_one(&lab.meterer.pool).await.unwrap(), before, "rows were written again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_known_late_replaces_the_records_of_its_days() {
    let lab = Lab::start("2026-05-01T00:00:00Z").await;
    let found = resource(1, ResourceKind::Droplet, None);
    lab.told(found.clone(), "2026-05-10T08:00:00Z").await;
    lab.meter_at("2026-05-15T01:10:00Z").await;
    assert_eq!(lab.sums("2026-05-01", "2026-06-01").await, "droplet_hours 120");
    assert_eq!(lab.metered_through().await, Some(date("2026-05-14")));
    lab.announced(DayMetered::SUBJECT).await;

    // It was off from the 12th on, and was moved on the 14th; the later news comes first.
    let off = next(&found, |droplet| droplet.status = "off".to_owned());
    let moved = next(&off, |droplet| droplet.deployment_id = Some(deployment(901)));
    lab.told(moved, "2026-05-14T08:00:00Z").await;
    assert_eq!(lab.metered_through().await, Some(date("2026-05-13")));
    lab.told(off.clone(), "2026-05-12T08:00:00Z").await;
    assert_eq!(lab.metered_through().await, Some(date("2026-05-11")));
    lab.meter_at("2026-05-15T02:10:00Z").await;
    expect![[r#"
        05-10 00 daily 900 of acme: droplet 1 droplet_hours 24
        05-11 00 daily 900 of acme: droplet 1 droplet_hours 24
        05-12 00 daily 900 of acme: droplet 1 droplet_hours 0
        05-13 00 daily 900 of acme: droplet 1 droplet_hours 0
        05-14 00 daily 901 of acme: droplet 1 droplet_hours 0
    "#]]
    .assert_eq(&lab.records().await);
    assert_eq!(lab.announced(DayMetered::SUBJECT).await.len(), 3);

    // The same again, and what never was a deployment's, opens nothing.
    lab.told(off, "2026-05-12T08:00:00Z").await;
    let mut nobodys = resource(2, ResourceKind::Droplet, None);
    nobodys.deployment_id = None;
    lab.told(nobodys, "2026-05-12T08:00:00Z").await;
    assert_eq!(lab.metered_through().await, Some(date("2026-05-14")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_told_again_began_when_it_was_first_told() {
    let lab = Lab::start("2026-05-15T01:10:00Z").await;
    let found = resource(1, ResourceKind::Droplet, None);
    // The last state, told again for a rebuilt stream, comes before the history.
    lab.told(found.clone(), "2026-05-14T08:00:00Z").await;
    lab.run::<MeterDays>().await;
    assert_eq!(lab.count().await, 1);
    lab.told(found.clone(), "2026-05-11T08:00:00Z").await;
    lab.run::<MeterDays>().await;
    assert_eq!(lab.count().await, 4);
    lab.told(found, "2026-05-14T08:00:00Z").await;
    assert_eq!(lab.metered_through().await, Some(date("2026-05-14")));
    assert_eq!(lab.count().await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn missed_days_are_caught_up_and_an_incomplete_one_waits() {
    let lab = Lab::start("2026-05-11T01:09:59Z").await;
    lab.run::<MeterDays>().await;
    assert_eq!(lab.metered_through().await, None);
    lab.told(resource(1, ResourceKind::Droplet, None), "2026-05-10T08:00:00Z").await;
    lab.run::<MeterDays>().await;
    assert_eq!(lab.count().await, 0, "the tenth is complete at ten past one");
    lab.meter_at("2026-05-11T01:10:00Z").await;
    assert_eq!(lab.count().await, 1);
    // Down for a week.
    lab.meter_at("2026-05-18T00:10:00Z").await;
    assert_eq!(lab.count().await, 7);
    lab.meter_at("2026-05-18T01:10:00Z").await;
    assert_eq!(lab.count().await, 8);
    assert_eq!(lab.sums("2026-05-01", "2026-06-01").await, "droplet_hours 192");
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_hour_and_by_the_day_never_count_together() {
    let lab = Lab::start("2026-05-11T01:10:00Z").await;
    let droplet = resource(1, ResourceKind::Droplet, None);
    let off = next(&droplet, |droplet| droplet.status = "off".to_owned());
    let gone = deleted(&off, "2026-05-10T18:30:00Z");
    let zone = resource(2, ResourceKind::DnsZone, None);
    lab.told(droplet, "2026-05-10T06:59:59Z").await;
    lab.told(off, "2026-05-10T12:00:00Z").await;
    lab.told(gone, "2026-05-10T18:30:00Z").await;
    lab.told(zone, "2026-05-01T00:00:00Z").await;
    lab.run::<MeterDays>().await;
    let daily = lab.records().await;
    assert_eq!(lab.sums("2026-05-10", "2026-05-11").await, "dns_zones 0.032258064516, droplet_hours 0");

    configure(&lab, "droplet_hours", Granularity::Hourly, 400).await;
    configure(&lab, "dns_zones", Granularity::Hourly, 400).await;
    let metered = lab.meter("2026-05-10").await.unwrap();
    // The hours from six to nineteen, those of a day, and the day's two records that went.
    assert_eq!((metered.records, metered.changed), (13 + 24, 13 + 24 + 2));
    assert_eq!(lab.sums("2026-05-10", "2026-05-11").await, "dns_zones 0.032258064516, droplet_hours 6");
    assert_eq!(lab.meter("2026-05-10").await.unwrap().changed, 0);

    configure(&lab, "droplet_hours", Granularity::Daily, 400).await;
    configure(&lab, "dns_zones", Granularity::Daily, 400).await;
    lab.meter("2026-05-10").await.unwrap();
    assert_eq!(lab.records().await, daily);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_by_the_hour_sums_to_the_same_as_by_the_day() {
    let lab = Lab::start("2026-03-01T01:10:00Z").await;
    for resource in worked_example() {
        lab.told(resource, "2026-02-01T00:00:00Z").await;
    }
    configure(&lab, "dns_zones", Granularity::Hourly, 400).await;
    configure(&lab, "snapshot_gb_month", Granularity::Hourly, 400).await;
    lab.run::<MeterDays>().await;
    assert_eq!(
        lab.sums("2026-02-01", "2026-03-01").await,
        "dns_zones 2, droplet_hours 1344, snapshot_gb_month 48"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_meters_any_complete_day_that_is_kept_and_no_other() {
    let lab = Lab::start("2026-05-11T01:09:00Z").await;
    lab.told(resource(1, ResourceKind::Droplet, None), "2026-05-01T08:00:00Z").await;
    for (day, refused) in [
        ("2026-05-10", "422 /day"),
        ("2026-05-11", "422 /day"),
        ("+262142-12-31", "422 /day"),
        ("-262143-01-01", "422 /day"),
        ("2025-04-05", "422 /day"),
    ] {
        assert_eq!(lab.meter(day).await.unwrap_err(), refused, "{day}");
    }
    assert_eq!(lab.meter("2025-04-06").await.unwrap().records, 0);
    assert_eq!(lab.meter("2026-05-09").await.unwrap().changed, 1);
    // The days before it are not metered by that.
    assert_eq!(lab.metered_through().await, None);
    lab.run::<MeterDays>().await;
    assert_eq!(lab.count().await, 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_day_metered_many_times_at_once_is_metered_once() {
    let lab = Arc::new(Lab::start("2026-05-11T01:10:00Z").await);
    for resource in worked_example() {
        lab.told(resource, "2026-05-08T08:00:00Z").await;
    }
    let mut metering = tokio::task::JoinSet::new();
    for turn in 0..6 {
        let lab = Arc::clone(&lab);
        metering.spawn(async move {
            if turn % 3 == 0 {
                lab.run::<MeterDays>().await;
                return 0;
            }
            lab.meter("2026-05-10").await.unwrap().changed
        });
    }
    metering.join_all().await;
    assert_eq!(lab.count().await, 21);
    let announced = lab.announced(DayMetered::SUBJECT).await;
    assert_eq!(announced.len(), 3, "each day changed once: {announced:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_comes_while_its_day_is_metered_is_in_it_or_opens_it_again() {
    let lab = Arc::new(Lab::start("2026-05-12T01:10:00Z").await);
    let mut working = tokio::task::JoinSet::new();
    for number in 1..=40 {
        let telling = Arc::clone(&lab);
        working.spawn(async move {
            telling.told(resource(number, ResourceKind::Droplet, None), "2026-05-10T08:00:00Z").await;
        });
        if number % 5 == 0 {
            let lab = Arc::clone(&lab);
            working.spawn(async move { lab.run::<MeterDays>().await });
        }
    }
    working.join_all().await;
    lab.run::<MeterDays>().await;
    assert_eq!(lab.count().await, 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_known_size_is_listed_and_counts_when_it_has_one() {
    let lab = Lab::start("2026-05-12T01:10:00Z").await;
    let found = resource(1, ResourceKind::SpacesBucket, None);
    lab.told(found.clone(), "2026-05-10T08:00:00Z").await;
    lab.run::<MeterDays>().await;
    assert_eq!((lab.count().await, lab.usage("2026-05-01", "2026-06-01").await.unmetered), (0, 1));

    // Its size is known from the second day on, and that becomes known late.
    let measured = next(&found, |bucket| {
        bucket.attrs.insert("size_gigabytes".to_owned(), "3.1".into());
    });
    lab.told(measured, "2026-05-11T08:00:00Z").await;
    lab.run::<MeterDays>().await;
    assert_eq!(lab.sums("2026-05-01", "2026-06-01").await, "spaces_gb_month 0.0999999999996");
    assert_eq!(lab.usage("2026-05-10", "2026-05-11").await.unmetered, 1);
    assert_eq!(lab.usage("2026-05-11", "2026-05-12").await.unmetered, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_kept_as_long_as_it_says() {
    let lab = Lab::start("2026-05-01T00:00:00Z").await;
    let droplet = resource(1, ResourceKind::Droplet, None);
    let off = next(&droplet, |droplet| droplet.status = "off".to_owned());
    lab.told(droplet, "2026-01-01T00:00:00Z").await;
    lab.told(off.clone(), "2026-01-10T00:00:00Z").await;
    lab.told(resource(2, ResourceKind::DnsZone, None), "2026-01-01T00:00:00Z").await;
    lab.told(resource(3, ResourceKind::SpacesBucket, None), "2026-01-01T00:00:00Z").await;
    lab.meter_at("2026-04-11T01:10:00Z").await;
    assert_eq!(lab.count().await, 200);
    configure(&lab, "droplet_hours", Granularity::Daily, 40).await;
    configure(&lab, "dns_zones", Granularity::Daily, 60).await;
    configure(&lab, "spaces_gb_month", Granularity::Daily, 35).await;
    lab.run::<ApplyRetention>().await;
    // 40 days before the eleventh of April is the second of March, and 60 the tenth of February.
    assert_eq!(lab.count().await, 40 + 60);
    assert_eq!(lab.usage("2026-03-07", "2026-04-07").await.unmetered, 1);
    assert_eq!(lab.usage("2026-02-04", "2026-03-07").await.unmetered, 0);
    assert_eq!(lab.sums("2026-02-01", "2026-03-03").await, "dns_zones 0.743087557603, droplet_hours 0");

    // A day that one kind's records are too old for is metered for the others.
    assert_eq!(lab.meter("2026-02-11").await.unwrap().records, 1);
    assert_eq!(lab.count().await, 40 + 60);

    // What the longest retention still needs is kept, and nothing earlier can be metered.
    for kind in ["dns_zones", "spaces_gb_month", "snapshot_gb_month", "droplet_backup_gb_month"] {
        configure(&lab, kind, Granularity::Daily, 60).await;
    }
    lab.run::<ApplyRetention>().await;
    let states = sqlx::query_scalar!(r#"select count(*) as "count!" from meterer.resource_state"#);
    assert_eq!(states.fetch_one(&lab.meterer.pool).await.unwrap(), 3, "the droplet's first state is gone");
    configure(&lab, "dns_zones", Granularity::Daily, 400).await;
    assert_eq!(lab.meter("2026-02-09").await.unwrap_err(), "422 /day");
    assert_eq!(lab.meter("2026-02-10").await.unwrap().records, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meterer_that_starts_anew_comes_to_the_same_records() {
    let lab = Lab::start("2026-05-01T00:00:00Z").await;
    let story = story();
    // The first lives through it, a day at a time.
    for day in 1..=20 {
        let today = format!("2026-05-{day:02}");
        for (resource, at) in story.iter().filter(|(_, at)| at.starts_with(&today)) {
            lab.told(resource.clone(), at).await;
        }
        lab.meter_at(&format!("{today}T01:10:00Z")).await;
        lab.meter_at(&format!("{today}T20:10:00Z")).await;
    }
    lab.meter_at("2026-05-21T01:10:00Z").await;
    let lived = lab.records().await;
    assert!(lived.lines().count() > 100, "{lived}");

    // The second hears of all of it at once, backwards, and the third meters in the middle of it.
    let second = Lab::start("2026-05-21T01:10:00Z").await;
    for (resource, at) in story.iter().rev() {
        second.told(resource.clone(), at).await;
    }
    second.run::<MeterDays>().await;
    assert_eq!(second.records().await, lived);

    let third = Lab::start("2026-05-21T01:10:00Z").await;
    for (resource, at) in story.iter().skip(1).step_by(2).chain(story.iter().step_by(2)) {
        third.told(resource.clone(), at).await;
        third.run::<MeterDays>().await;
    }
    assert_eq!(third.records().await, lived);
}

/// Twenty days of resources that come, change, move and go.
fn story() -> Vec<(ResourceState, String)> {
    let mut told = Vec::new();
    for number in 1..=12_u32 {
        let kind = match number % 3 {
            0 => ResourceKind::Droplet,
            1 => ResourceKind::Snapshot,
            _ => ResourceKind::DnsZone,
        };
        let mut state = resource(number.into(), kind, Some("12.25"));
        let mut day = 1 + number % 4;
        for step in 0.. {
            let at = format!("2026-05-{day:02}T{:02}:30:00Z", (number * 7 + step * 5) % 24);
            told.push((state.clone(), at.clone()));
            day += 1 + (number + step) % 4;
            if day > 20 {
                break;
            }
            state = match (number + step) % 5 {
                0 => next(&state, |it| it.status = "off".to_owned()),
                1 => next(&state, |it| it.deployment_id = Some(deployment(901))),
                2 => deleted(&state, &at),
                3 => next(&state, |it| it.deployment_id = None),
                _ => next(&state, |it| {
                    it.status = "active".to_owned();
                    it.deleted_at = None;
                    it.deployment_id = Some(deployment(900));
                }),
            };
        }
    }
    told.sort_by(|a, b| a.1.cmp(&b.1));
    told
}

/// Commits events of syncer's, as syncer does.
async fn announce(syncer: &PgPool, drafts: &[Draft]) {
    let mut tx = syncer.begin().await.unwrap();
    outbox::add(&mut tx, drafts).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_meterer_keeps_every_state_and_one_on_an_empty_database_catches_up() {
    let world = World::start().await;
    let syncer = world.pool(Service::Syncer).await;
    let at = |text: &str| text.parse().unwrap();
    let found = resource(1, ResourceKind::Droplet, None);
    let off = next(&found, |droplet| droplet.status = "off".to_owned());
    let gone = deleted(&off, "2026-05-12T15:00:00Z");
    let drafts = [
        Draft::event(
            Service::Syncer,
            &ResourceDiscovered { resource: found.clone() },
            at("2026-05-10T08:00:00Z"),
        ),
        Draft::event(
            Service::Syncer,
            &ResourceUpdated { resource: off, changes: Vec::new() },
            at("2026-05-12T00:00:00Z"),
        ),
        Draft::event(Service::Syncer, &ResourceDeleted { resource: gone }, at("2026-05-12T15:00:00Z")),
    ]
    .map(Result::unwrap);
    let stop = CancellationToken::new();
    let nats = world.connect(Service::Syncer.name()).await;
    let publishing =
        tokio::spawn(publisher::run(Service::Syncer, world.database(Service::Syncer), nats, stop.clone()));
    announce(&syncer, &drafts).await;

    let service = world.run(Service::Meterer, Vec::new());
    let pool = world.pool(Service::Meterer).await;
    eventually("the history is there", async || {
        let states = sqlx::query_scalar!(
            r#"select string_agg(version || ' ' || status, ', ' order by version) from meterer.resource_state"#
        );
        let states = states.fetch_one(&pool).await.unwrap().unwrap_or_default();
        // RESOURCES keeps the last alone.
        if states == "1 active, 2 off, 3 deleted" { Ok(()) } else { Err(states) }
    })
    .await;
    let status = test_support::world::terminate(&service).await;
    assert!(status.success(), "{status}: {}", service.printed());
    stop.cancel();
    publishing.await.unwrap();

    let clock = Arc::new(meterer::clock::SystemClock);
    let meterer = Meterer { clock, pool: pool.clone() };
    // A replayed message changes nothing.
    handle(&meterer, &mut pool.acquire().await.unwrap(), found, "2026-05-10T08:00:00Z").await;
    let mut tx = pool.begin().await.unwrap();
    for day in ["2026-05-10", "2026-05-11", "2026-05-12", "2026-05-13"] {
        meterer::store::metering::meter_day(&mut tx, date(day), at("2026-05-14T08:00:00Z")).await.unwrap();
    }
    let records = sqlx::query_scalar!(
        r#"select string_agg(period_start::date || ' ' || qty, ', ' order by period_start) from meterer.usage_records"#
    );
    assert_eq!(
        records.fetch_one(&mut *tx).await.unwrap().as_deref(),
        Some("2026-05-10 24, 2026-05-11 24, 2026-05-12 0")
    );
}
