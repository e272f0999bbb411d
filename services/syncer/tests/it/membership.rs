//! What a walk of the projects makes of membership that changes, contradicts itself or vanishes.

use contracts::syncer::{ConfirmListing, Listing, SyncDroplets, SyncProjects, SyncSnapshots, SyncVolumes};
use expect_test::expect;
use serde_json::{Value, json};

use crate::lab::{Lab, operator};

const SHOP_DATA: &str = "do:volume:11111111-1111-4111-8111-111111111111";

fn account() -> Value {
    json!({
        "projects": [{ "name": "shop" }, { "name": "blog" }],
        "droplets": [
            { "id": 1, "name": "shop-web", "project": "shop" }, { "id": 2, "name": "blog-web", "project": "blog" },
        ],
        "volumes": [{ "id": "11111111-1111-4111-8111-111111111111", "name": "shop-data", "project": "shop" }],
    })
}

async fn project_id(lab: &Lab, name: &str) -> String {
    let state = lab.provider.state().await;
    let project = state["projects"].as_array().unwrap().iter().find(|project| project["name"] == name);
    project.unwrap()["id"].as_str().unwrap().to_owned()
}

/// Lets a project claim just these, so many times or for ever.
async fn claim(lab: &Lab, project: &str, urns: &[&str], times: Option<u64>) {
    let rows: Vec<Value> = urns.iter().map(|urn| json!({ "urn": urn, "status": "ok" })).collect();
    let body = json!({ "resources": rows, "links": {}, "meta": { "total": rows.len() } });
    let fault = json!({
        "operation": "projects_list_resources", "path": format!("/v2/projects/{}", project_id(lab, project).await),
        "behaviour": { "status": 200, "body": body }, "times": times,
    });
    lab.provider.faults(&fault).await;
}

async fn synced(account: Value) -> Lab {
    let lab = Lab::start(account).await;
    lab.sync::<SyncDroplets>().await;
    lab.sync::<SyncVolumes>().await;
    lab.sync::<SyncProjects>().await;
    lab.told().await;
    lab
}

/// An account whose shop has a dozen droplets.
async fn synced_dozen() -> Lab {
    let droplets: Vec<Value> =
        (1..=12).map(|id| json!({ "id": id, "name": format!("shop-{id:02}"), "project": "shop" })).collect();
    let mut account = account();
    account["droplets"] = json!(droplets);
    account["volumes"][0]["project"] = json!("blog");
    synced(account).await
}

async fn count_in(lab: &Lab, project: &str) -> usize {
    lab.shown().await.lines().filter(|line| line.contains(&format!(" {project} "))).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_its_project_falls_to_skyai_internal_at_the_next_walk() {
    let lab = synced(account()).await;
    claim(&lab, "shop", &[SHOP_DATA], None).await;
    lab.sync::<SyncProjects>().await;
    expect![[r#"
        resource.tagged 1
        droplet blog-web active v2 blog -
        droplet shop-web active v3 skyai-internal -
        volume shop-data active v2 shop -"#]]
    .assert_eq(&format!("{}\n{}", lab.told().await, lab.shown().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_first_look_missed_does_not_move() {
    let lab = synced(account()).await;
    claim(&lab, "shop", &[SHOP_DATA], Some(1)).await;
    lab.sync::<SyncProjects>().await;
    assert_eq!(lab.told().await, "");
    assert_eq!(count_in(&lab, "shop").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_is_suddenly_empty_keeps_what_it_had_and_holds_up_nobody_else() {
    let lab = synced_dozen().await;
    claim(&lab, "shop", &[], None).await;
    claim(&lab, "blog", &[], None).await;
    lab.sync::<SyncProjects>().await;
    lab.sync::<SyncProjects>().await;
    // The one volume of the blog went.
    expect!["listing.held 1, resource.tagged 1"].assert_eq(&lab.told().await);
    assert_eq!((count_in(&lab, "shop").await, count_in(&lab, "blog").await), (12, 0));
    let held = lab.status_of(Listing::Projects).await.held.unwrap();
    assert_eq!(held.missing, 12);

    lab.execute(ConfirmListing { listing: Listing::Projects, actor: operator() }).await.unwrap();
    lab.sync::<SyncProjects>().await;
    expect!["listing.released 1, resource.tagged 12"].assert_eq(&lab.told().await);
    assert_eq!(count_in(&lab, "skyai-internal").await, 13);
    lab.sync::<SyncProjects>().await;
    assert_eq!(lab.told().await, "");
    assert_eq!(lab.status_of(Listing::Projects).await.held, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_project_does_not_keep_strikes_from_others() {
    let mut account = account();
    account["droplets"] = json!([{ "id": 50, "name": "blog-web", "project": "blog" }]);
    account["projects"][1]["resources"] = json!(["do:space:blog-assets"]);
    account["spaces"] = json!(["blog-assets"]);
    let droplets: Vec<Value> =
        (1..=12).map(|id| json!({ "id": id, "name": format!("shop-{id:02}"), "project": "shop" })).collect();
    account["droplets"].as_array_mut().unwrap().extend(droplets);
    let lab = synced(account).await;
    claim(&lab, "shop", &[], None).await;
    claim(&lab, "blog", &["do:droplet:50"], None).await;
    for _ in 0..3 {
        lab.sync::<SyncProjects>().await;
    }
    expect!["listing.held 1, resource.deleted 1"].assert_eq(&lab.told().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_members_of_a_vanished_project_hold_nothing_up() {
    let lab = synced_dozen().await;
    let state = lab.provider.state().await;
    let rest: Vec<&Value> =
        state["projects"].as_array().unwrap().iter().filter(|project| project["name"] != "shop").collect();
    let body = json!({ "projects": rest, "links": {}, "meta": { "total": rest.len() } });
    lab.fault("projects_list", json!({ "status": 200, "body": body })).await;
    lab.sync::<SyncProjects>().await;
    expect!["resource.tagged 12"].assert_eq(&lab.told().await);
    assert_eq!(lab.status_of(Listing::Projects).await.held, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_projects_claim_belongs_to_the_first_and_stays_there() {
    let lab = synced(account()).await;
    let both = ["do:droplet:1", "do:Droplet:2", SHOP_DATA];
    claim(&lab, "shop", &both, None).await;
    claim(&lab, "blog", &["do:droplet:2", "do:droplet:1"], None).await;
    lab.sync::<SyncProjects>().await;
    let told = lab.told().await;
    assert!(["", "resource.tagged 1", "resource.tagged 2"].contains(&told.as_str()), "{told}");
    let settled = lab.shown().await;
    for _ in 0..2 {
        lab.sync::<SyncProjects>().await;
    }
    assert_eq!(lab.told().await, "");
    assert_eq!(lab.shown().await, settled);
    let twice =
        sqlx::query_scalar!(r#"select count(*) as "count!" from syncer.cloud_resources where version > 3"#)
            .fetch_one(&mut lab.superuser().await)
            .await
            .unwrap();
    assert_eq!(twice, 0, "no two events of one resource in one walk");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_urn_that_is_none_is_left_out_and_costs_nothing_else() {
    let lab = synced(account()).await;
    claim(&lab, "blog", &["do:droplet:2", "nonsense", "do::7", ""], None).await;
    lab.sync::<SyncProjects>().await;
    assert_eq!(lab.told().await, "");
    assert_eq!(lab.status_of(Listing::Projects).await.failure, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_no_project_claims_is_struck_whatever_its_listing_shows() {
    let mut account = account();
    let (first, second) = ("22222222-2222-4222-8222-222222222222", "33333333-3333-4333-8333-333333333333");
    account["databases"] = json!([
        { "id": first, "name": "kept", "project": "blog" }, { "id": second, "name": "dropped", "project": "blog" },
    ]);
    let lab = synced(account).await;
    claim(&lab, "blog", &["do:droplet:2", &format!("do:dbaas:{first}")], None).await;
    lab.sync::<SyncProjects>().await;
    assert!(lab.shown().await.contains("managed_db dropped online! v2"), "{}", lab.shown().await);
    for _ in 0..3 {
        lab.sync::<SyncProjects>().await;
    }
    expect!["resource.deleted 1"].assert_eq(&lab.told().await);
    lab.provider.heal().await;
    lab.sync::<SyncProjects>().await;
    assert!(lab.shown().await.contains("managed_db dropped online v"), "{}", lab.shown().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_what_was_deleted_before_it_belonged_anywhere_falls_to_skyai_internal() {
    let mut account = account();
    account["snapshots"] =
        json!([{ "id": "501", "name": "of-shop-web", "resource_type": "droplet", "resource_id": "1" }]);
    let lab = Lab::start(account).await;
    lab.sync::<SyncDroplets>().await;
    lab.remove("droplets", "1").await;
    for _ in 0..3 {
        lab.sync::<SyncDroplets>().await;
    }
    lab.sync::<SyncSnapshots>().await;
    lab.sync::<SyncProjects>().await;
    let shown = lab.shown().await;
    assert!(shown.contains("droplet shop-web deleted!!! v2 - -"), "{shown}");
    assert!(shown.contains("snapshot of-shop-web active v2 skyai-internal -"), "{shown}");
}
