//! Projects and what they claim: two passes, aliases, placeholders, the fallback.

use contracts::{
    Scope,
    syncer::{
        ClassifyProject, ClassifyResource, Listing, SyncDnsZones, SyncDroplets, SyncFirewalls, SyncProjects,
        SyncSnapshots, SyncVolumes,
    },
};
use expect_test::expect;
use serde_json::{Value, json};

use crate::lab::{Lab, operator};

fn account() -> Value {
    json!({
        "projects": [
            {
                "name": "shop", "purpose": "Web Application", "environment": "Production",
                "resources": ["do:space:shop-assets"],
            },
            { "name": "blog" },
        ],
        "droplets": [
            { "id": 1, "name": "shop-web", "project": "shop" }, { "id": 2, "name": "blog-web", "project": "blog" },
        ],
        "volumes": [
            { "id": "11111111-1111-4111-8111-111111111111", "name": "shop-data", "project": "shop" },
        ],
        "snapshots": [
            { "id": "501", "name": "of-shop-web", "resource_type": "droplet", "resource_id": "1" },
            { "id": "502", "name": "of-nothing", "resource_type": "droplet", "resource_id": "99" },
        ],
        "firewalls": [{ "name": "web" }],
        "domains": [{ "name": "shop.example", "project": "shop" }],
        "databases": [{ "id": "22222222-2222-4222-8222-222222222222", "name": "shop-db", "project": "shop" }],
        "kubernetes_clusters": [],
        "spaces": ["shop-assets"],
    })
}

async fn sync_all(lab: &Lab) {
    lab.sync::<SyncDroplets>().await;
    lab.sync::<SyncVolumes>().await;
    lab.sync::<SyncSnapshots>().await;
    lab.sync::<SyncFirewalls>().await;
    lab.sync::<SyncDnsZones>().await;
    lab.sync::<SyncProjects>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_project_claims_is_its_own_and_the_rest_falls_to_skyai_internal() {
    let lab = Lab::start(account()).await;
    sync_all(&lab).await;
    expect![[r#"
        dns_zone shop.example active v2 shop -
        droplet blog-web active v2 blog -
        droplet shop-web active v2 shop -
        firewall web succeeded v2 skyai-internal -
        managed_db shop-db online v2 shop -
        snapshot of-nothing active v2 skyai-internal -
        snapshot of-shop-web active v2 shop -
        spaces_bucket shop-assets unknown v1 shop -
        volume shop-data active v2 shop -"#]]
    .assert_eq(&lab.shown().await);
    expect!["project.discovered 4, resource.discovered 9, resource.tagged 7, resource.updated 1"]
        .assert_eq(&lab.told().await);
    let made = |state: &Value| {
        let projects = state["projects"].as_array().unwrap().iter();
        projects.filter(|project| project["name"] == "skyai-internal").count()
    };
    assert_eq!(made(&lab.provider.state().await), 1);

    sync_all(&lab).await;
    expect![[""]].assert_eq(&lab.told().await);
    assert_eq!(made(&lab.provider.state().await), 1, "a second run changes nothing");
    assert_eq!(lab.status_of(Listing::Projects).await.failure, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_urn_that_points_at_nothing_known_makes_a_placeholder_that_its_own_sync_completes() {
    let lab = Lab::start(account()).await;
    lab.sync::<SyncProjects>().await;
    expect![[r#"
        dns_zone shop.example unknown v1 shop -
        droplet 1 unknown v1 shop -
        droplet 2 unknown v1 blog -
        managed_db shop-db online v2 shop -
        spaces_bucket shop-assets unknown v1 shop -
        volume 11111111-1111-4111-8111-111111111111 unknown v1 shop -"#]]
    .assert_eq(&lab.shown().await);
    lab.told().await;
    lab.sync::<SyncDroplets>().await;
    lab.sync::<SyncVolumes>().await;
    lab.sync::<SyncDnsZones>().await;
    expect![[r#"
        resource.updated 4
        dns_zone shop.example active v2 shop -
        droplet blog-web active v2 blog -
        droplet shop-web active v2 shop -
        managed_db shop-db online v2 shop -
        spaces_bucket shop-assets unknown v1 shop -
        volume shop-data active v2 shop -"#]]
    .assert_eq(&format!("{}\n{}", lab.told().await, lab.shown().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_described_without_its_passwords() {
    let lab = Lab::start(account()).await;
    lab.sync::<SyncProjects>().await;
    let state = lab.provider.state().await;
    let password =
        state["databases"][0]["connection"]["password"].as_str().unwrap_or("no password in the simulator");
    let everything = sqlx::query_scalar!(
        r#"select coalesce(string_agg(r::text, ''), '') || (select string_agg(convert_from(payload, 'UTF8'), '') from syncer.outbox)
                  || (select string_agg(e::text, '') from syncer.cloud_resource_events e) as "everything!"
           from syncer.cloud_resources r"#
    )
    .fetch_one(&mut lab.superuser().await)
    .await
    .unwrap();
    assert!(everything.contains("shop-db"), "the database is described");
    assert!(!everything.contains(password) && !everything.contains("password"), "a secret was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn classifying_a_project_gives_its_resources_to_the_tenant_at_once() {
    let lab = Lab::start(account()).await;
    sync_all(&lab).await;
    lab.told().await;
    let classify = |tenant: Option<&str>, purpose: Option<&str>, id| ClassifyProject {
        id,
        tenant_id: tenant.map(|tenant| tenant.parse().unwrap()),
        purpose: purpose.map(str::to_owned),
        actor: operator(),
    };
    let shop = lab.project_named("shop").await;
    let project = lab.execute(classify(Some("acme"), Some("the shop"), shop)).await.unwrap();
    assert_eq!((project.purpose.as_deref(), project.tenant_id.unwrap().as_str()), (Some("the shop"), "acme"));
    expect![[r#"
        project.tagged 1, resource.tagged 6
        dns_zone shop.example active v3 shop acme
        droplet blog-web active v2 blog -
        droplet shop-web active v3 shop acme
        firewall web succeeded v2 skyai-internal -
        managed_db shop-db online v3 shop acme
        snapshot of-nothing active v2 skyai-internal -
        snapshot of-shop-web active v3 shop acme
        spaces_bucket shop-assets unknown v2 shop acme
        volume shop-data active v3 shop acme"#]]
    .assert_eq(&format!("{}\n{}", lab.told().await, lab.shown().await));

    lab.execute(classify(Some("acme"), Some("the shop"), shop)).await.unwrap();
    sync_all(&lab).await;
    assert_eq!(lab.told().await, "", "nothing changed, and an operator's purpose stays");

    // A move tells the new tenant, and nothing of the old one.
    lab.execute(classify(Some("globex"), None, lab.project_named("blog").await)).await.unwrap();
    let blog = lab.provider.state().await["projects"]
        .as_array()
        .unwrap()
        .iter()
        .find(|project| project["name"] == "blog")
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    lab.provider
        .control(
            "POST",
            &format!("/sim/projects/{blog}/resources"),
            Some(&json!({ "resources": ["do:droplet:1"] })),
        )
        .await;
    lab.told().await;
    lab.sync::<SyncProjects>().await;
    let moved = sqlx::query_scalar!(
        r#"select convert_from(payload, 'UTF8')::jsonb -> 'changes' as "changes!" from syncer.outbox
           where convert_from(payload, 'UTF8')::jsonb #>> '{resource,name}' = 'shop-web'"#
    )
    .fetch_one(&mut lab.superuser().await)
    .await
    .unwrap();
    let fields: Vec<(&str, bool)> = moved
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (change["field"].as_str().unwrap(), change.get("from").is_some()))
        .collect();
    assert_eq!(fields, [("cloud_project_id", false), ("tenant_id", false)]);
    // Its snapshot went with it.
    expect![[r#"
        resource.tagged 2
        dns_zone shop.example active v3 shop acme
        droplet blog-web active v3 blog globex
        droplet shop-web active v4 blog globex
        firewall web succeeded v2 skyai-internal -
        managed_db shop-db online v3 shop acme
        snapshot of-nothing active v2 skyai-internal -
        snapshot of-shop-web active v4 blog globex
        spaces_bucket shop-assets unknown v2 shop acme
        volume shop-data active v3 shop acme"#]]
    .assert_eq(&format!("{}\n{}", lab.told().await, lab.shown().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_outside_every_project_belongs_to_nobody_until_an_operator_says() {
    let mut account = account();
    account["domains"] = json!([{ "name": "shop.example", "project": "shop" }, { "name": "lone.example" }]);
    let lab = Lab::start(account).await;
    // The simulator puts a new zone into the default project, as the provider does.
    lab.fault("projects_list_resources", json!("empty_list")).await;
    lab.sync::<SyncDnsZones>().await;
    lab.sync::<SyncProjects>().await;
    lab.sync::<SyncProjects>().await;
    expect![[r#"
        dns_zone lone.example active v1 - -
        dns_zone shop.example active v1 - -"#]]
    .assert_eq(&lab.shown().await);
    lab.told().await;

    let id = lab.resource_named("lone.example").await;
    let classify = |id, tenant: &str| ClassifyResource {
        id,
        tenant_id: Some(tenant.parse().unwrap()),
        purpose: Some("parking".to_owned()),
        actor: operator(),
    };
    let zone = lab.execute(classify(id, "acme")).await.unwrap();
    assert_eq!(zone.state.attrs["purpose"], "parking");
    expect!["resource.tagged 1"].assert_eq(&lab.told().await);
    lab.execute(classify(id, "acme")).await.unwrap();
    lab.change("domains", "lone.example", json!({ "ttl": 60 })).await;
    lab.sync::<SyncDnsZones>().await;
    lab.sync::<SyncProjects>().await;
    expect![[r#"
        resource.updated 1
        dns_zone lone.example active v3 - acme
        dns_zone shop.example active v1 - -"#]]
    .assert_eq(&format!("{}\n{}", lab.told().await, lab.shown().await));

    // In a project, the project decides.
    lab.provider.heal().await;
    lab.sync::<SyncProjects>().await;
    assert_eq!(lab.execute(classify(lab.resource_named("shop.example").await, "acme")).await, Err(422));
    assert_eq!(
        lab.execute(classify("00000000-0000-4000-8000-000000000001".parse().unwrap(), "acme")).await,
        Err(404)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_no_project_lists_any_more_is_gone_after_three_complete_walks() {
    let lab = Lab::start(account()).await;
    lab.sync::<SyncProjects>().await;
    lab.told().await;
    lab.provider.control("DELETE", "/sim/spaces/shop-assets", None).await;
    lab.fault("projects_list_resources", json!("html")).await;
    for _ in 0..4 {
        lab.sync::<SyncProjects>().await;
    }
    assert_eq!(lab.told().await, "", "a walk that broke off strikes nobody");
    lab.provider.heal().await;
    for _ in 0..3 {
        lab.sync::<SyncProjects>().await;
    }
    expect!["resource.deleted 1"].assert_eq(&lab.told().await);
    lab.provider
        .control("POST", "/sim/spaces", Some(&json!({ "name": "shop-assets", "project": "shop" })))
        .await;
    lab.sync::<SyncProjects>().await;
    expect!["resource.restored 1"].assert_eq(&lab.told().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_destroyed_keeps_its_tenant_to_the_end() {
    let lab = Lab::start(account()).await;
    sync_all(&lab).await;
    let shop = lab.project_named("shop").await;
    let acme = Some("acme".parse().unwrap());
    lab.execute(ClassifyProject { id: shop, tenant_id: acme, purpose: None, actor: operator() })
        .await
        .unwrap();
    lab.provider
        .control("POST", "/sim/volumes", Some(&json!([{ "name": "other", "project": "shop" }])))
        .await;
    lab.sync::<SyncVolumes>().await;
    lab.sync::<SyncProjects>().await;
    lab.remove("volumes", "11111111-1111-4111-8111-111111111111").await;
    // As soon as its own listing misses it, no project's silence takes it away.
    for _ in 0..4 {
        lab.sync::<SyncVolumes>().await;
        lab.sync::<SyncProjects>().await;
    }
    let row = sqlx::query!("select status, tenant_id from syncer.cloud_resources where name = 'shop-data'")
        .fetch_one(&mut lab.superuser().await)
        .await
        .unwrap();
    assert_eq!((row.status.as_str(), row.tenant_id.as_deref()), ("deleted", Some("acme")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_the_creation_of_skyai_internal_makes_no_second_one() {
    let lab = Lab::start(json!({})).await;
    let fault = json!({ "operation": "projects_create", "behaviour": "commit_then_reset", "times": 1 });
    lab.provider.faults(&fault).await;
    lab.sync::<SyncProjects>().await;
    assert!(lab.status_of(Listing::Projects).await.failure.unwrap().contains("skyai-internal"));
    lab.sync::<SyncProjects>().await;
    assert_eq!(lab.status_of(Listing::Projects).await.failure, None);
    let log = lab.provider.control("GET", "/sim/log", None).await;
    let calls = log.to_string().matches("projects_create").count();
    assert_eq!(calls, 1, "{log}");
    let listed = contracts::syncer::ListProjects { scope: Scope::Operator, page: Default::default() };
    assert_eq!(lab.answer(listed).await.unwrap().items.len(), 2, "the default project and ours");
}
