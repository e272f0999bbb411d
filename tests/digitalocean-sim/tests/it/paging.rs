//! Pages, their links, and how fast a big account is listed.

use serde_json::json;

use crate::harness::Harness;

#[tokio::test]
async fn links_stay_on_the_simulators_own_host_and_keep_the_filters() {
    let sim = Harness::start().await;
    sim.control("POST", "/sim/account", json!({"droplets": 45})).await.expect(200);
    let first = sim.get("/v2/droplets?per_page=10&tag_name=seeded").await.expect(200);
    let pages = &first["links"]["pages"];
    assert_eq!(pages["next"], format!("{}/v2/droplets?per_page=10&tag_name=seeded&page=2", sim.sim.url()));
    assert_eq!(pages["last"], format!("{}/v2/droplets?per_page=10&tag_name=seeded&page=5", sim.sim.url()));
    assert!(pages.get("first").is_none());
    let last = sim.get("/v2/droplets?per_page=10&page=5").await.expect(200);
    assert_eq!(last["droplets"].as_array().unwrap().len(), 5);
    let names: Vec<_> = last["links"]["pages"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["first", "prev"]);
    let single = sim.get("/v2/droplets?per_page=200").await.expect(200);
    assert_eq!((&single["links"], &single["meta"]["total"]), (&json!({}), &json!(45)));
}

#[tokio::test]
async fn every_row_of_a_big_account_is_on_exactly_one_page() {
    let sim = Harness::start().await;
    let counts =
        json!({"droplets": 2000, "volumes": 500, "snapshots": 500, "projects": ["a", "b"], "spaces": 2});
    sim.control("POST", "/sim/account", counts).await.expect(200);
    for (kind, total) in [("droplets", 2000), ("volumes", 500), ("snapshots", 500)] {
        let mut seen = std::collections::BTreeSet::new();
        let mut path = format!("/v2/{kind}?per_page=200");
        loop {
            let page = sim.get(&path).await.expect(200);
            for row in page[kind].as_array().unwrap() {
                assert!(seen.insert(row["id"].to_string()), "{kind} {} twice", row["id"]);
            }
            let Some(next) = page["links"]["pages"]["next"].as_str() else { break };
            path = next.strip_prefix(sim.sim.url()).unwrap().to_owned();
        }
        assert_eq!(seen.len(), total, "{kind}");
    }
    // The same seed makes the same account.
    let again = Harness::start().await;
    let counts =
        json!({"droplets": 2000, "volumes": 500, "snapshots": 500, "projects": ["a", "b"], "spaces": 2});
    again.control("POST", "/sim/account", counts).await.expect(200);
    assert_eq!(sim.state().await["volumes"], again.state().await["volumes"]);
}

#[tokio::test]
async fn databases_are_not_paged_and_show_their_secrets() {
    let sim = Harness::demo().await;
    let body = sim.get("/v2/databases?per_page=1").await.expect(200);
    assert!(body.get("links").is_none() && body.get("meta").is_none());
    assert!(body["databases"][0]["connection"]["password"].as_str().unwrap().starts_with("AVNS_"));
    assert!(body["databases"][0]["users"][1]["password"].is_string());
}

#[tokio::test]
async fn floating_and_reserved_addresses_are_the_same_rows() {
    let sim = Harness::demo().await;
    let floating = sim.get("/v2/floating_ips").await.expect(200)["floating_ips"].clone();
    let reserved = sim.get("/v2/reserved_ips").await.expect(200)["reserved_ips"].clone();
    assert_eq!(floating, reserved);
    assert_eq!(floating[0]["droplet"]["id"], 600_000_001);
}
