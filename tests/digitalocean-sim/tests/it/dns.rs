//! DNS as FACTS has it: dots, full names, shared times to live, duplicates.

use serde_json::{Value, json};

use crate::harness::Harness;

async fn zone() -> Harness {
    let sim = Harness::start().await;
    let made = sim.post("/v2/domains", json!({"name": "example.com"})).await.expect(201);
    assert_eq!(made["domain"], json!({"name": "example.com", "ttl": 1800, "zone_file": ""}));
    sim
}

const RECORDS: &str = "/v2/domains/example.com/records";

#[tokio::test]
async fn a_new_zone_has_its_own_records_and_joins_the_default_project() {
    let sim = zone().await;
    let records = sim.get(RECORDS).await.expect(200)["domain_records"].clone();
    let types: Vec<_> = records.as_array().unwrap().iter().map(|r| r["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["SOA", "NS", "NS", "NS"]);
    let resources = sim.get("/v2/projects/default/resources").await.expect(200);
    assert_eq!(resources["resources"][0]["urn"], "do:domain:example.com");
    sim.post("/v2/domains", json!({"name": "example.com"})).await.expect(422);
    sim.post("/v2/domains", json!({"name": "reserved.test"})).await.expect(422);
}

#[tokio::test]
async fn a_dot_must_be_sent_and_is_not_returned() {
    let sim = zone().await;
    let mut record = json!({"type": "CNAME", "name": "www", "data": "host.example.net"});
    let refused = sim.post(RECORDS, record.clone()).await.expect(422);
    assert_eq!(refused["message"], "Data needs to end with a dot (.)");
    record["data"] = json!("host.example.net.");
    let made = sim.post(RECORDS, record).await.expect(201)["domain_record"].clone();
    assert_eq!(made["data"], "host.example.net");
    // What was read cannot be written back.
    let path = format!("{RECORDS}/{}", made["id"]);
    sim.call("PUT", &path, made).await.expect(422);
    sim.post(RECORDS, json!({"type": "MX", "name": "@", "data": "@", "priority": 5})).await.expect(201);
    sim.post(RECORDS, json!({"type": "MX", "name": "@", "data": "m.example.com."})).await.expect(422);
    sim.post(RECORDS, json!({"type": "A", "name": "@", "data": "not-an-address"})).await.expect(422);
}

#[tokio::test]
async fn the_name_filter_wants_the_full_name() {
    let sim = zone().await;
    for name in ["www", "@", "www.example.com"] {
        sim.post(RECORDS, json!({"type": "A", "name": name, "data": "203.0.113.1"})).await.expect(201);
    }
    let found = async |query: &str| {
        let body = sim.get(&format!("{RECORDS}?type=A&{query}")).await.expect(200);
        body["domain_records"].as_array().unwrap().iter().map(|r| r["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(found("name=www.example.com").await, ["www"]);
    assert_eq!(found("name=example.com").await, ["@"]);
    assert_eq!(found("name=www").await, Vec::<Value>::new());
    // A full name without its dot is relative.
    assert_eq!(found("name=www.example.com.example.com").await, ["www.example.com"]);
}

#[tokio::test]
async fn records_of_one_name_and_type_share_the_newest_ttl_and_may_repeat() {
    let sim = zone().await;
    let record = |ttl: i64| json!({"type": "A", "name": "a", "data": "203.0.113.1", "ttl": ttl});
    let first = sim.post(RECORDS, record(1800)).await.expect(201)["domain_record"]["id"].clone();
    let second = sim.post(RECORDS, record(3600)).await.expect(201)["domain_record"]["id"].clone();
    assert_ne!(first, second, "the same record twice is two records");
    let ttl = async |id: Value| {
        let path = format!("{RECORDS}/{id}");
        sim.get(&path).await.expect(200)["domain_record"]["ttl"].clone()
    };
    assert_eq!(ttl(first.clone()).await, 3600);
    sim.call("PATCH", &format!("{RECORDS}/{first}"), json!({"type": "A", "ttl": 60})).await.expect(200);
    assert_eq!(ttl(second.clone()).await, 60);
    sim.post(RECORDS, json!({"type": "CNAME", "name": "a", "data": "b.example.com."})).await.expect(422);
    sim.delete(&format!("{RECORDS}/{first}")).await.expect(204);
    sim.delete(&format!("{RECORDS}/{first}")).await.expect(404);
    sim.delete("/v2/domains/example.com").await.expect(204);
    sim.delete(&format!("{RECORDS}/{second}")).await.expect(404);
}

#[tokio::test]
async fn the_zone_file_changes_with_every_edit() {
    let sim = zone().await;
    let file = async || sim.get("/v2/domains/example.com").await.expect(200)["domain"]["zone_file"].clone();
    let before = file().await;
    sim.post(RECORDS, json!({"type": "TXT", "name": "@", "data": "x"})).await.expect(201);
    assert_ne!(before, file().await);
}
