//! Listings of one kind: what is new, changed, gone, back, and when absence is not believed.

use contracts::{
    Scope,
    syncer::{
        ConfirmListing, ListListings, Listing, SyncDnsZones, SyncDropletBackups, SyncDroplets, SyncFirewalls,
        SyncFloatingIps, SyncLoadBalancers, SyncSnapshots, SyncVolumes,
    },
};
use expect_test::expect;
use serde_json::json;

use crate::lab::{Lab, operator};

/// Every kind that has a listing.
fn account() -> serde_json::Value {
    json!({
        "droplets": [
            { "id": 101, "name": "web-1" }, { "id": 102, "name": "web-2", "status": "off" },
            { "id": 103, "name": "gpu-1", "size_slug": "gpu-h100x1-80gb" },
        ],
        "volumes": [{ "id": "11111111-1111-4111-8111-111111111111", "name": "data", "size_gigabytes": 100 }],
        "snapshots": [{ "id": "501", "name": "before-upgrade", "resource_type": "droplet", "resource_id": "101" }],
        "backups": [{ "name": "weekly", "droplet_id": 101 }],
        "floating_ips": [{ "ip": "203.0.113.9" }],
        "firewalls": [{ "name": "web" }],
        "load_balancers": [{ "name": "front" }],
        "domains": [{ "name": "example.com" }],
    })
}

async fn sync_all(lab: &Lab) {
    lab.sync::<SyncDroplets>().await;
    lab.sync::<SyncDnsZones>().await;
    lab.sync::<SyncVolumes>().await;
    lab.sync::<SyncSnapshots>().await;
    lab.sync::<SyncFloatingIps>().await;
    lab.sync::<SyncFirewalls>().await;
    lab.sync::<SyncLoadBalancers>().await;
    lab.sync::<SyncDropletBackups>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_sync_takes_everything_in_and_an_unchanged_one_says_nothing() {
    let lab = Lab::start(account()).await;
    sync_all(&lab).await;
    expect![[r#"
        dns_zone example.com active v1 - -
        droplet gpu-1 active v1 - -
        droplet web-1 active v1 - -
        droplet web-2 off v1 - -
        droplet_backup weekly active v1 - -
        firewall web succeeded v1 - -
        floating_ip 203.0.113.9 unassigned v1 - -
        load_balancer front active v1 - -
        snapshot before-upgrade active v1 - -
        volume data active v1 - -"#]]
    .assert_eq(&lab.shown().await);
    expect!["resource.discovered 10"].assert_eq(&lab.told().await);

    let before = sqlx::query_scalar!(r#"select min(last_seen_at) as "at!" from syncer.cloud_resources"#)
        .fetch_one(&mut lab.superuser().await)
        .await
        .unwrap();
    sync_all(&lab).await;
    expect![[""]].assert_eq(&lab.told().await);
    let after = sqlx::query!(
        r#"select min(last_seen_at) as "at!", max(version) as "version!",
                  (select count(*) from syncer.cloud_resource_events) as "events!", count(*) as "rows!"
           from syncer.cloud_resources"#
    )
    .fetch_one(&mut lab.superuser().await)
    .await
    .unwrap();
    assert!(after.at > before, "every row was seen again");
    assert_eq!((after.version, after.events), (1, after.rows), "one event per resource: its discovery");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_complete_listings_without_it_delete_a_resource_and_seeing_it_restores_it() {
    let lab = Lab::start(json!({ "droplets": [{ "id": 1, "name": "a" }, { "id": 2, "name": "b" }] })).await;
    lab.sync::<SyncDroplets>().await;
    lab.told().await;

    lab.change("droplets", "1", json!({ "name": "a-renamed" })).await;
    lab.sync::<SyncDroplets>().await;
    expect![[r#"
        resource.updated 1
        droplet a-renamed active v2 - -
        droplet b active v1 - -"#]]
    .assert_eq(&format!("{}\n{}", lab.told().await, lab.shown().await));

    let row = lab.provider.control("DELETE", "/sim/droplets/2", None).await;
    lab.sync::<SyncDroplets>().await;
    lab.sync::<SyncDroplets>().await;
    expect![[r#"

        droplet a-renamed active v2 - -
        droplet b active!! v1 - -"#]]
    .assert_eq(&format!("{}\n{}", lab.told().await, lab.shown().await));
    lab.sync::<SyncDroplets>().await;
    expect![[r#"
        resource.deleted 1
        droplet a-renamed active v2 - -
        droplet b deleted!!! v2 - -"#]]
    .assert_eq(&format!("{}\n{}", lab.told().await, lab.shown().await));
    lab.sync::<SyncDroplets>().await;
    expect![[""]].assert_eq(&lab.told().await);

    lab.provider
        .control(
            "POST",
            "/sim/droplets",
            Some(&json!([{ "id": 2, "name": "b", "size_slug": row["size_slug"] }])),
        )
        .await;
    lab.sync::<SyncDroplets>().await;
    expect![[r#"
        resource.restored 1
        droplet a-renamed active v2 - -
        droplet b active v3 - -"#]]
    .assert_eq(&format!("{}\n{}", lab.told().await, lab.shown().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn seen_in_between_takes_the_strikes_away() {
    let lab = Lab::start(json!({ "domains": [{ "name": "a.example" }, { "name": "b.example" }] })).await;
    lab.sync::<SyncDnsZones>().await;
    for _ in 0..2 {
        lab.remove("domains", "b.example").await;
        lab.sync::<SyncDnsZones>().await;
        lab.sync::<SyncDnsZones>().await;
        let struck_twice = "dns_zone a.example active v1 - -\ndns_zone b.example active!! v1 - -";
        assert_eq!(lab.shown().await, struck_twice);
        lab.provider.control("POST", "/sim/domains", Some(&json!([{ "name": "b.example" }]))).await;
        lab.sync::<SyncDnsZones>().await;
    }
    expect![[r#"
        dns_zone a.example active v1 - -
        dns_zone b.example active v1 - -"#]]
    .assert_eq(&lab.shown().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_neither_misses_strikes_nor_doubles_them() {
    let lab = Lab::start(json!({ "domains": [{ "name": "a.example" }, { "name": "b.example" }] })).await;
    lab.sync::<SyncDnsZones>().await;
    lab.remove("domains", "b.example").await;
    for strikes in ["!", "!!"] {
        lab.wait_minutes(-30);
        lab.sync::<SyncDnsZones>().await;
        let struck = format!("dns_zone a.example active v1 - -\ndns_zone b.example active{strikes} v1 - -");
        assert_eq!(lab.shown().await, struck);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_broke_off_strikes_nobody() {
    let lab = Lab::start(json!({ "droplets": 450 })).await;
    lab.sync::<SyncDroplets>().await;
    assert_eq!(lab.status_of(Listing::Droplets).await.seen, Some(450));
    lab.told().await;

    for behaviour in [json!("truncate"), json!("html"), json!("null_list"), json!({ "status": 403 })] {
        let fault = json!({ "operation": "droplets_list", "page": 3, "behaviour": behaviour });
        lab.provider.faults(&fault).await;
        for _ in 0..3 {
            lab.sync::<SyncDroplets>().await;
        }
        let status = lab.status_of(Listing::Droplets).await;
        assert!(status.failure.is_some(), "{behaviour} is no failure");
        assert_eq!(status.seen, Some(450), "how it stood before stays");
        lab.provider.heal().await;
    }
    let struck = sqlx::query_scalar!(
        r#"select count(*) as "count!" from syncer.cloud_resources where stale_strike_count > 0 or deleted_at is not null"#
    )
    .fetch_one(&mut lab.superuser().await)
    .await
    .unwrap();
    assert_eq!(struck, 0);
    assert_eq!(lab.told().await, "");

    lab.sync::<SyncDroplets>().await;
    assert_eq!(lab.status_of(Listing::Droplets).await.failure, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_is_suddenly_empty_is_held_until_it_recovers() {
    let lab = Lab::start(json!({ "volumes": 3 })).await;
    lab.sync::<SyncVolumes>().await;
    lab.told().await;
    lab.fault("volumes_list", json!("empty_list")).await;
    for _ in 0..4 {
        lab.sync::<SyncVolumes>().await;
    }
    expect![[r#"
        listing.held 1
        volume volume-000000 active v1 - -
        volume volume-000001 active v1 - -
        volume volume-000002 active v1 - -"#]]
    .assert_eq(&format!("{}\n{}", lab.told().await, lab.shown().await));
    let held = lab.status_of(Listing::Volumes).await.held.unwrap();
    assert_eq!((held.known, held.missing), (3, 3));
    assert_eq!(lab.answer(ListListings { scope: Scope::Operator }).await.unwrap().items.len(), 9);

    lab.provider.heal().await;
    lab.sync::<SyncVolumes>().await;
    expect!["listing.released 1"].assert_eq(&lab.told().await);
    assert_eq!(lab.status_of(Listing::Volumes).await.held, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_loss_counts_once_an_operator_has_confirmed_it() {
    let lab = Lab::start(json!({ "domains": 50 })).await;
    lab.sync::<SyncDnsZones>().await;
    lab.told().await;
    let confirm = || ConfirmListing { listing: Listing::DnsZones, actor: operator() };
    assert_eq!(lab.execute(confirm()).await, Err(409));

    for zone in 0..11 {
        lab.remove("domains", &format!("zone-{zone:04}.example.com")).await;
    }
    for _ in 0..3 {
        lab.sync::<SyncDnsZones>().await;
    }
    expect!["listing.held 1"].assert_eq(&lab.told().await);
    assert_eq!(lab.execute(confirm()).await.unwrap().held, None);
    expect!["listing.released 1"].assert_eq(&lab.told().await);
    for _ in 0..3 {
        lab.sync::<SyncDnsZones>().await;
    }
    expect!["resource.deleted 11"].assert_eq(&lab.told().await);
    assert_eq!(lab.execute(confirm()).await, Err(409));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_overtaken_writes_nothing_more() {
    let lab = Lab::start(json!({ "domains": 2 })).await;
    let begin = || async {
        let mut tx = lab.syncer.pool.begin().await.unwrap();
        let now = lab.syncer.clock.now();
        let run = syncer::store::listing::begin(&mut tx, Listing::DnsZones, now).await.unwrap();
        tx.commit().await.unwrap();
        run
    };
    let (paused, _present) = (begin().await, begin().await);
    let walked = lab.syncer.walk(&paused).await.unwrap();
    assert!(matches!(walked, syncer::walk::Walked::Overtaken), "{walked:?}");
    assert_eq!(lab.shown().await, "");
}
