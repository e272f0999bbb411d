//! Projects and the assignment of resources.

use serde_json::{Value, json};

use crate::harness::Harness;

async fn project(sim: &Harness, name: &str) -> String {
    let made =
        sim.post("/v2/projects", json!({"name": name, "purpose": "Web Application"})).await.expect(201);
    made["project"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_new_droplet_is_in_the_default_project_until_it_is_moved() {
    let sim = Harness::start().await;
    let urn = format!("do:droplet:{}", sim.droplet("web-1").await);
    let default = sim.get("/v2/projects/default/resources").await.expect(200);
    assert_eq!(default["resources"][0]["urn"], json!(urn));
    let home = project(&sim, "acme").await;
    let body = json!({"resources": [urn, "do:droplet:1", "do:volume:none"]});
    let moved = sim.post(&format!("/v2/projects/{home}/resources"), body.clone()).await.expect(200);
    let statuses: Vec<_> =
        moved["resources"].as_array().unwrap().iter().map(|r| r["status"].clone()).collect();
    assert_eq!(statuses, ["assigned", "not_found", "not_found"]);
    let again = sim.post(&format!("/v2/projects/{home}/resources"), body).await.expect(200);
    assert_eq!(again["resources"][0]["status"], "already_assigned");
    assert_eq!(sim.get("/v2/projects/default/resources").await.expect(200)["meta"]["total"], 0);
    let malformed =
        sim.post(&format!("/v2/projects/{home}/resources"), json!({"resources": ["do:droplet"]})).await;
    assert!(malformed.expect(400)["message"].as_str().unwrap().contains("do:resource_type:resource_id"));
}

#[tokio::test]
async fn a_project_with_resources_cannot_be_deleted() {
    let sim = Harness::start().await;
    let home = project(&sim, "acme").await;
    sim.control("POST", "/sim/domains", json!({"name": "acme.example", "project": "acme"})).await.expect(200);
    let path = format!("/v2/projects/{home}");
    assert_eq!(sim.delete(&path).await.expect(412)["id"], "precondition_failed");
    let away = json!({"resources": ["do:domain:acme.example"]});
    sim.post("/v2/projects/default/resources", away).await.expect(200);
    sim.delete(&path).await.expect(204);
    sim.delete(&path).await.expect(404);
    let default = sim.get("/v2/projects/default").await.expect(200)["project"]["id"].clone();
    sim.delete(&format!("/v2/projects/{}", default.as_str().unwrap())).await.expect(412);
}

#[tokio::test]
async fn an_attached_address_moves_only_with_its_droplet() {
    let sim = Harness::start().await;
    let id = sim.droplet("web-1").await;
    sim.control("POST", "/sim/floating_ips", json!({"ip": "209.38.9.9", "droplet": id})).await.expect(200);
    let home = project(&sim, "acme").await;
    let path = format!("/v2/projects/{home}/resources");
    sim.post(&path, json!({"resources": ["do:reservedip:209.38.9.9"]})).await.expect(412);
    sim.post(&path, json!({"resources": [format!("do:droplet:{id}")]})).await.expect(200);
    let urns: Vec<Value> = sim.get(&path).await.expect(200)["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|resource| resource["urn"].clone())
        .collect();
    assert_eq!(urns, [json!(format!("do:droplet:{id}")), json!("do:floatingip:209.38.9.9")]);
}

#[tokio::test]
async fn a_purpose_of_ones_own_comes_back_changed_and_a_name_is_taken_once() {
    let sim = Harness::start().await;
    let made = sim.post("/v2/projects", json!({"name": "a", "purpose": "internal"})).await.expect(201);
    assert_eq!(made["project"]["purpose"], "Other: internal");
    sim.post("/v2/projects", json!({"name": "a", "purpose": "internal"})).await.expect(409);
    sim.post("/v2/projects", json!({"name": "b"})).await.expect(422);
}
