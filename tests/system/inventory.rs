//! SPEC §2 as operators and tenants see it: what the account has, what changed, what is gone, and whose it is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use test_support::{World, provider::small_account};

use crate::story::Story;

fn by_kind(resources: &[Value]) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for resource in resources {
        *kinds.entry(resource["kind"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    kinds
}

fn events(detail: &Value) -> Vec<String> {
    let events = detail["events"].as_array().cloned().unwrap_or_default();
    events.iter().rev().map(|event| event["event"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_becomes_an_inventory_and_a_second_sync_says_nothing() {
    let story = Story::begin(&json!({
        "droplets": 450, "volumes": 3, "snapshots": 4, "zones": 2, "floating_ips": 2, "firewalls": 2,
        "load_balancers": 1, "databases": 1, "kubernetes_clusters": 1, "spaces": 2, "projects": ["acme-prod"],
    }))
    .await;
    let listings = [
        "droplets",
        "volumes",
        "snapshots",
        "dns_zones",
        "floating_ips",
        "firewalls",
        "load_balancers",
        "droplet_backups",
        "projects",
    ];
    for listing in listings {
        let status = story.sync(listing).await;
        assert_eq!(status["failure"], Value::Null, "{status}");
    }
    let kinds = by_kind(&story.resources("").await);
    for (kind, at_least) in [
        ("droplet", 450),
        ("volume", 3),
        ("snapshot", 4),
        ("dns_zone", 2),
        ("floating_ip", 2),
        ("firewall", 2),
        ("load_balancer", 1),
        ("managed_db", 1),
        ("k8s_cluster", 1),
        ("spaces_bucket", 2),
    ] {
        assert!(kinds.get(kind).is_some_and(|count| *count >= at_least), "{kind}: {kinds:?}");
    }
    // The account got its internal project, once.
    let internal = |state: &Value| {
        let projects = state["projects"].as_array().cloned().unwrap_or_default();
        projects.iter().filter(|project| project["name"] == "skyai-internal").count()
    };
    assert_eq!(internal(&story.provider.state().await), 1);

    let (told, before) = (story.told().await, story.resources("").await);
    for listing in listings {
        story.sync(listing).await;
    }
    assert_eq!(story.told().await, told, "an unchanged account was announced again");
    assert_eq!(internal(&story.provider.state().await), 1);
    let after = story.resources("").await;
    assert_eq!(after.len(), before.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before["version"], after["version"], "{after}");
        assert!(after["last_seen_at"].as_str() >= before["last_seen_at"].as_str(), "{after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_complete_syncs_without_it_delete_a_resource_and_seeing_it_again_restores_it() {
    let story = Story::begin(&small_account()).await;
    story.sync("droplets").await;
    let droplet = story.resources("&kind=droplet").await.remove(0);
    let path = format!("/api/v1/inventory/{}", droplet["id"].as_str().unwrap());
    let provider_id = droplet["provider_id"].as_str().unwrap();

    story
        .provider
        .control("PATCH", &format!("/sim/droplets/{provider_id}"), Some(&json!({ "name": "renamed" })))
        .await;
    story.sync("droplets").await;
    let detail = story.get(&path).await.body;
    assert_eq!((detail["name"].as_str(), detail["version"].as_i64()), (Some("renamed"), Some(2)));
    assert_eq!(events(&detail), ["discovered", "updated"]);

    let row = story.provider.state().await["droplets"]
        .as_array()
        .and_then(|rows| {
            rows.iter()
                .find(|row| row["id"].as_i64().map(|id| id.to_string()).as_deref() == Some(provider_id))
                .cloned()
        })
        .expect("the simulator has the droplet");
    story.provider.control("DELETE", &format!("/sim/droplets/{provider_id}"), None).await;
    for strikes in 1..=2 {
        story.sync("droplets").await;
        let detail = story.get(&path).await.body;
        assert_eq!(
            (detail["stale_strike_count"].as_i64(), &detail["deleted_at"]),
            (Some(strikes), &Value::Null)
        );
    }
    // A listing that breaks off gives nobody a strike.
    let fault = json!([{ "operation": "droplets_list", "behaviour": { "status": 503 }, "times": null }]);
    story.provider.faults(&fault).await;
    let status = story.sync("droplets").await;
    assert!(status["failure"].is_string(), "{status}");
    story.provider.heal().await;
    assert_eq!(story.get(&path).await.body["stale_strike_count"], 2);
    story.sync("droplets").await;
    let detail = story.get(&path).await.body;
    assert_eq!(
        (detail["status"].as_str(), detail["deleted_at"].is_string()),
        (Some("deleted"), true),
        "{detail}"
    );
    assert!(story.resources("&kind=droplet").await.iter().all(|other| other["id"] != droplet["id"]));
    assert_eq!(story.resources("&status=deleted").await.len(), 1);

    story.provider.control("POST", "/sim/droplets", Some(&json!([row]))).await;
    story.sync("droplets").await;
    let detail = story.get(&path).await.body;
    assert_eq!(events(&detail), ["discovered", "updated", "deleted", "restored"]);
    assert_eq!((&detail["deleted_at"], detail["stale_strike_count"].as_i64()), (&Value::Null, Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_loses_too_much_is_held_until_it_recovers_or_an_operator_confirms() {
    let story = Story::begin(&json!({ "droplets": 60 })).await;
    story.sync("droplets").await;
    let empty = json!([{ "operation": "droplets_list", "behaviour": "empty_list", "times": null }]);
    story.provider.faults(&empty).await;
    for _ in 0..4 {
        let status = story.sync("droplets").await;
        assert_eq!(
            (status["held"]["known"].as_i64(), status["held"]["missing"].as_i64()),
            (Some(60), Some(60)),
            "{status}"
        );
    }
    let untouched = |resources: Vec<Value>| {
        assert_eq!(resources.len(), 60);
        assert!(resources.iter().all(|resource| resource["stale_strike_count"] == 0));
    };
    untouched(story.resources("&kind=droplet").await);
    story.provider.heal().await;
    let status = story.sync("droplets").await;
    assert_eq!(status["held"], Value::Null, "{status}");
    untouched(story.resources("&kind=droplet").await);

    // A quarter is really gone: held, and counted once an operator says so.
    let rows = story.provider.state().await["droplets"].as_array().cloned().unwrap();
    for row in rows.iter().take(15) {
        story.provider.control("DELETE", &format!("/sim/droplets/{}", row["id"]), None).await;
    }
    let status = story.sync("droplets").await;
    assert_eq!(status["held"]["missing"], 15, "{status}");
    story.post("/api/v1/inventory/listings/droplets/confirm", &json!({})).await;
    for _ in 0..3 {
        story.sync("droplets").await;
    }
    assert_eq!(story.resources("&kind=droplet").await.len(), 45);
    let again = story
        .send(
            reqwest::Method::POST,
            "/api/v1/inventory/listings/droplets/confirm",
            Some(&test_support::tokens::operator()),
            Some(&json!({})),
        )
        .await;
    assert_eq!(again.status, 409, "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_listings_lose_nothing() {
    let story = Story::begin(&json!({ "droplets": 450 })).await;
    story.sync("droplets").await;
    let (told, before) = (story.told().await, story.resources("&kind=droplet").await.len());
    let behaviours = [
        json!({ "status": 500 }),
        json!({ "status": 401 }),
        json!({ "status": 403 }),
        json!("truncate"),
        json!("html"),
        json!("null_list"),
        json!("page_loop"),
        json!("foreign_next"),
        json!("reset"),
        json!("redirect"),
    ];
    for behaviour in behaviours {
        let fault =
            json!([{ "operation": "droplets_list", "page": 3, "behaviour": behaviour, "times": null }]);
        story.provider.faults(&fault).await;
        let status = story.sync("droplets").await;
        assert!(status["failure"].is_string(), "{behaviour}: {status}");
        story.provider.heal().await;
    }
    let status = story.sync("droplets").await;
    assert_eq!(status["failure"], Value::Null, "{status}");
    let after = story.resources("&kind=droplet").await;
    assert_eq!(after.len(), before);
    assert!(after.iter().all(|resource| resource["stale_strike_count"] == 0));
    assert_eq!(story.told().await, told);
    assert!(!story.syncer.printed().contains("panicked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_classified_is_its_resources_classified_and_tenants_see_their_own() {
    let story = Story::begin(&small_account()).await;
    let alone = json!([{ "name": "alone", "project": null }]);
    story.provider.control("POST", "/sim/droplets", Some(&alone)).await;
    for listing in ["droplets", "volumes", "dns_zones", "projects"] {
        story.sync(listing).await;
    }
    let projects = story.get("/api/v1/projects").await.body;
    let projects = projects["items"].as_array().unwrap();
    let names: BTreeSet<&str> = projects.iter().filter_map(|project| project["name"].as_str()).collect();
    assert!(
        ["acme-prod", "globex-prod", "skyai-internal"].iter().all(|name| names.contains(name)),
        "{names:?}"
    );
    let project = |name: &str| {
        let found = projects.iter().find(|project| project["name"] == name).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    let (acme, internal) = (project("acme-prod"), project("skyai-internal"));

    // Move a droplet and a bucket into the tenant's project at the provider, by two spellings of aliases.
    let droplet = story.resources("&kind=droplet").await.remove(0);
    let provider_id = droplet["provider_id"].as_str().unwrap();
    let acme_at_provider =
        projects.iter().find(|project| project["name"] == "acme-prod").unwrap()["provider_id"].clone();
    let resources = json!({ "resources": [format!("do:droplet:{provider_id}"), "do:space:acme-assets"] });
    let path = format!("/sim/projects/{}/resources", acme_at_provider.as_str().unwrap());
    story.provider.control("POST", "/sim/spaces", Some(&json!([{ "name": "acme-assets" }]))).await;
    story.provider.control("POST", &path, Some(&resources)).await;
    story.sync("projects").await;
    let of_acme = story.resources(&format!("&project={acme}")).await;
    let of_acme_kinds = by_kind(&of_acme);
    assert!(
        of_acme_kinds.contains_key("droplet") && of_acme_kinds.contains_key("spaces_bucket"),
        "{of_acme_kinds:?}"
    );
    assert!(
        !story.resources(&format!("&project={internal}")).await.is_empty(),
        "the fallback project holds nothing"
    );

    assert_eq!(story.get_as("acme", "/api/v1/inventory").await.body["items"], json!([]));
    let body = json!({ "tenant_id": "acme", "purpose": "production" });
    let classified = story.post(&format!("/api/v1/projects/{acme}/classify"), &body).await;
    assert_eq!(
        (classified["tenant_id"].as_str(), classified["purpose"].as_str()),
        (Some("acme"), Some("production"))
    );
    let own = story.get_as("acme", "/api/v1/inventory").await.body;
    assert_eq!(own["items"].as_array().unwrap().len(), of_acme.len());
    let told = story.told().await;
    story.post(&format!("/api/v1/projects/{acme}/classify"), &body).await;
    assert_eq!(story.told().await, told, "classifying the same again was announced");

    // Another tenant's id and no id at all are the same.
    let path = format!("/api/v1/inventory/{}", droplet["id"].as_str().unwrap());
    assert_eq!(story.get_as("acme", &path).await.status, 200);
    let detail = story.get(&path).await.body;
    assert_eq!(events(&detail).last().map(String::as_str), Some("tagged"));
    let strip = |mut body: Value| {
        body.as_object_mut().unwrap().remove("instance");
        body
    };
    let theirs = story.get_as("globex", &path).await;
    let nobodys = story.get_as("globex", "/api/v1/inventory/0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d").await;
    assert_eq!((theirs.status, strip(theirs.body)), (nobodys.status, strip(nobodys.body)));
    assert_eq!(theirs.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_outside_every_project_waits_for_an_operator() {
    let story = Story::begin(&json!({ "droplets": 1 })).await;
    let zones = json!([{ "name": "free.example.com", "project": null }, { "name": "held.example.com" }]);
    story.provider.control("POST", "/sim/domains", Some(&zones)).await;
    for listing in ["dns_zones", "droplets", "projects"] {
        story.sync(listing).await;
    }
    let zones = story.resources("&kind=dns_zone").await;
    let named = |name: &str| zones.iter().find(|zone| zone["name"] == name).unwrap().clone();
    let (zone, held) = (named("free.example.com"), named("held.example.com"));
    assert!(zone["cloud_project_id"].is_null() && held["cloud_project_id"].is_string(), "{zones:?}");
    assert_eq!(zone["tenant_id"], Value::Null);
    let path = format!("/api/v1/inventory/{}/classify", zone["id"].as_str().unwrap());
    let body = json!({ "tenant_id": "acme", "purpose": "website" });
    let classified = story.post(&path, &body).await;
    assert_eq!(classified["tenant_id"], "acme");
    story.sync("dns_zones").await;
    story.sync("projects").await;
    let detail = story.get(&format!("/api/v1/inventory/{}", zone["id"].as_str().unwrap())).await.body;
    assert_eq!(detail["tenant_id"], "acme", "a sync undid an operator's word: {detail}");
    assert_eq!(events(&detail), ["discovered", "tagged"]);

    let droplet = story.resources("&kind=droplet").await.remove(0);
    let path = format!("/api/v1/inventory/{}/classify", droplet["id"].as_str().unwrap());
    let token = test_support::tokens::operator();
    let refused = story.send(reqwest::Method::POST, &path, Some(&token), Some(&body)).await;
    assert_eq!(refused.status, 422, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_the_provider_are_nowhere() {
    let story = Story::begin(&json!({ "databases": 2, "droplets": 1, "projects": ["acme-prod"] })).await;
    for listing in ["droplets", "projects"] {
        story.sync(listing).await;
    }
    let state = story.provider.state().await;
    let mut secrets = Vec::new();
    for database in state["databases"].as_array().expect("the simulator has databases") {
        secrets.extend(database["connection"]["password"].as_str().map(str::to_owned));
        secrets.extend(database["connection"]["uri"].as_str().map(str::to_owned));
    }
    assert!(secrets.len() >= 4, "the simulator shows no secrets: {state}");
    let databases = story.resources("&kind=managed_db").await;
    assert_eq!(databases.len(), 2);
    let mut superuser = story.world.superuser(contracts::Service::Syncer).await;
    let stored: Vec<String> = sqlx::query_scalar(
        "select r::text from cloud_resources r union all select e::text from cloud_resource_events e
         union all select convert_from(payload, 'UTF8') || headers::text from outbox",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    let shown = serde_json::to_string(&databases).unwrap();
    let printed = story.syncer.printed() + &story.gateway.printed();
    for secret in secrets.iter().chain([&test_support::provider::TOKEN.to_owned()]) {
        for (place, text) in
            [("database", stored.join("\n")), ("answer", shown.clone()), ("log", printed.clone())]
        {
            assert!(!text.contains(secret.as_str()), "a secret is in the {place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_can_have_a_database_of_its_own() {
    let world = World::start_apart().await;
    let provider = test_support::Provider::start().await;
    provider.account(&small_account()).await;
    let programs: Vec<_> =
        [contracts::Service::Biller, contracts::Service::Meterer, contracts::Service::SagaOrchestrator]
            .into_iter()
            .map(|service| world.run(service, Vec::new()))
            .collect();
    let syncer = world.run(contracts::Service::Syncer, provider.environment());
    let admin = world.connect(contracts::permissions::ADMIN).await;
    messaging::provision::tick_now(&admin, &local::sources::nats_dir()).await.unwrap();
    for (service, table, id) in [
        (contracts::Service::Syncer, "cloud_resources", "id"),
        (contracts::Service::Biller, "resource_ref", "resource_id"),
        (contracts::Service::Meterer, "resource_state", "resource_id"),
    ] {
        test_support::within(std::time::Duration::from_secs(30), table, || async {
            let mut superuser = world.superuser(service).await;
            let statement = format!("select count(distinct {id}) from {table} where kind = 'droplet'");
            let count: i64 =
                sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(&mut superuser).await.unwrap();
            if count == 5 { Ok(()) } else { Err(count) }
        })
        .await;
    }
    drop((syncer, programs));
}
