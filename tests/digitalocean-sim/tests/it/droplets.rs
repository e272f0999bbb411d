//! The life of a droplet and of what hangs on it.

use digitalocean_sim::Options;
use serde_json::{Value, json};

use crate::harness::Harness;

fn order(name: &str) -> Value {
    json!({"name": name, "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64", "region": "syd", "tags": ["saga-1"]})
}

fn ids(list: &Value) -> Vec<i64> {
    list.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn a_new_droplet_is_new_then_active_with_its_private_address_first() {
    let sim = Harness::start().await;
    let born = sim.post("/v2/droplets", order("web-1")).await.expect(202);
    let droplet = &born["droplet"];
    assert_eq!(droplet["status"], "new");
    assert_eq!(droplet["networks"], json!({"v4": [], "v6": []}));
    assert!(droplet.get("vpc_uuid").is_none());
    assert_eq!(droplet["region"]["slug"], "syd1");
    let action = born["links"]["actions"][0]["href"].as_str().unwrap().to_owned();
    assert!(action.starts_with("/v2/actions/"), "{action} is relative");
    let path = format!("/v2/droplets/{}", droplet["id"]);

    // It is missing from listings at first, so that to list and then create makes two.
    assert_eq!(ids(&sim.get("/v2/droplets").await.expect(200)["droplets"]), Vec::<i64>::new());
    sim.advance(12).await;
    let between = sim.get(&path).await.expect(200);
    assert_eq!(between["droplet"]["status"], "new");
    assert!(between["droplet"]["vpc_uuid"].is_string());
    assert_eq!(sim.get(&action).await.expect(200)["action"]["status"], "in-progress");
    sim.advance(20).await;
    let up = sim.get(&path).await.expect(200);
    assert_eq!(up["droplet"]["status"], "active");
    let types: Vec<_> =
        up["droplet"]["networks"]["v4"].as_array().unwrap().iter().map(|a| a["type"].clone()).collect();
    assert_eq!(types, ["private", "public"]);
    assert_eq!(sim.get(&action).await.expect(200)["action"]["status"], "completed");
    assert_eq!(ids(&sim.get("/v2/droplets?tag_name=saga-1").await.expect(200)["droplets"]).len(), 1);
}

#[tokio::test]
async fn a_deleted_droplet_lingers_without_tags_and_its_firewall_longer() {
    let sim = Harness::start().await;
    let id = sim.droplet("web-1").await;
    sim.control("POST", "/sim/firewalls", json!({"name": "f", "droplet_ids": [id]})).await.expect(200);
    sim.control("POST", "/sim/floating_ips", json!({"ip": "209.38.9.9", "droplet": id})).await.expect(200);
    let path = format!("/v2/droplets/{id}");
    sim.delete(&path).await.expect(204);
    sim.delete(&path).await.expect(422);
    let lingering = sim.get(&path).await.expect(200);
    assert_eq!(
        (&lingering["droplet"]["status"], &lingering["droplet"]["tags"]),
        (&json!("active"), &json!([]))
    );
    assert_eq!(sim.get("/v2/droplets?tag_name=t").await.expect(200)["meta"]["total"], 0);
    sim.advance(13).await;
    sim.get(&path).await.expect(404);
    sim.delete(&path).await.expect(404);
    assert_eq!(sim.get("/v2/firewalls").await.expect(200)["firewalls"][0]["droplet_ids"], json!([id]));
    assert_eq!(sim.get("/v2/floating_ips").await.expect(200)["floating_ips"][0]["droplet"], Value::Null);
    sim.advance(21).await;
    assert_eq!(sim.get("/v2/firewalls").await.expect(200)["firewalls"][0]["droplet_ids"], json!([]));
}

#[tokio::test]
async fn an_event_locks_the_droplet_until_it_is_over() {
    let sim = Harness::start().await;
    let born = sim.post("/v2/droplets", order("web-1")).await.expect(202);
    let path = format!("/v2/droplets/{}", born["droplet"]["id"]);
    let refused = sim.delete(&path).await.expect(422);
    assert_eq!(refused["message"], "Droplet already has a pending event.");
    sim.advance(40).await;
    let action = sim.post(&format!("{path}/actions"), json!({"type": "power_off"})).await.expect(201);
    sim.post(&format!("{path}/actions"), json!({"type": "power_on"})).await.expect(422);
    assert_eq!(sim.get(&path).await.expect(200)["droplet"]["locked"], true);
    sim.advance(6).await;
    // The action is complete before the droplet shows it.
    let action = format!("/v2/actions/{}", action["action"]["id"]);
    assert_eq!(sim.get(&action).await.expect(200)["action"]["status"], "completed");
    assert_eq!(sim.get(&path).await.expect(200)["droplet"]["status"], "active");
    sim.advance(2).await;
    assert_eq!(sim.get(&path).await.expect(200)["droplet"]["status"], "off");
}

#[tokio::test]
async fn a_resize_needs_the_droplet_off_and_keeps_the_disk_unless_told() {
    let sim = Harness::start().await;
    let path = format!("/v2/droplets/{}", sim.droplet("web-1").await);
    let actions = format!("{path}/actions");
    let resize = json!({"type": "resize", "size": "s-2vcpu-2gb"});
    sim.post(&actions, resize.clone()).await.expect(422);
    sim.post(&actions, json!({"type": "power_off"})).await.expect(201);
    sim.advance(10).await;
    sim.post(&actions, resize).await.expect(201);
    sim.advance(40).await;
    let droplet = sim.get(&path).await.expect(200)["droplet"].clone();
    assert_eq!((&droplet["size_slug"], &droplet["disk"]), (&json!("s-2vcpu-2gb"), &json!(25)));
    sim.post(&actions, json!({"type": "resize", "size": "s-1vcpu-2gb", "disk": true})).await.expect(201);
    sim.advance(40).await;
    assert_eq!(sim.get(&path).await.expect(200)["droplet"]["disk"], 50);
    sim.post(&actions, json!({"type": "resize", "size": "s-1vcpu-1gb"})).await.expect(422);
}

#[tokio::test]
async fn a_snapshot_is_seen_only_some_time_after_its_action() {
    let sim = Harness::start().await;
    let id = sim.droplet("web-1").await;
    let asked = json!({"type": "snapshot", "name": "arcadia-snap-1"});
    let action = sim.post(&format!("/v2/droplets/{id}/actions"), asked).await.expect(201)["action"].clone();
    sim.advance(21).await;
    let done = sim.get(&format!("/v2/actions/{}", action["id"])).await.expect(200);
    assert_eq!(done["action"]["status"], "completed");
    assert!(done["action"].get("snapshot_id").is_none());
    assert_eq!(sim.get("/v2/snapshots").await.expect(200)["meta"]["total"], 0);
    sim.advance(5).await;
    let listed = sim.get("/v2/snapshots?resource_type=droplet").await.expect(200)["snapshots"][0].clone();
    assert_eq!((&listed["name"], &listed["resource_id"]), (&json!("arcadia-snap-1"), &json!(id.to_string())));
    assert_eq!(listed["created_at"], action["started_at"]);
    // The droplet lists it under a number, the account under a text.
    let of_droplet = sim.get(&format!("/v2/droplets/{id}/snapshots")).await.expect(200);
    assert_eq!(of_droplet["snapshots"][0]["id"].to_string(), listed["id"].as_str().unwrap());
    let path = format!("/v2/snapshots/{}", listed["id"].as_str().unwrap());
    sim.delete(&path).await.expect(204);
    sim.delete(&path).await.expect(404);
    assert_eq!(
        sim.get(&format!("/v2/droplets/{id}")).await.expect(200)["droplet"]["snapshot_ids"],
        json!([])
    );
}

#[tokio::test]
async fn a_snapshot_survives_its_droplet_and_can_become_another() {
    let sim = Harness::start().await;
    let id = sim.droplet("web-1").await;
    let backup = sim.control("POST", "/sim/backups", json!({"droplet_id": id})).await.expect(200);
    sim.post(&format!("/v2/droplets/{id}/actions"), json!({"type": "snapshot", "name": "s"}))
        .await
        .expect(201);
    sim.advance(30).await;
    let snapshot: i64 =
        sim.get("/v2/snapshots").await.expect(200)["snapshots"][0]["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(sim.get("/v2/images?private=true").await.expect(200)["meta"]["total"], 2);
    sim.delete(&format!("/v2/droplets/{id}")).await.expect(204);
    sim.advance(20).await;
    assert_eq!(ids(&sim.get("/v2/images?private=true").await.expect(200)["images"]), [snapshot]);
    assert_eq!(sim.state().await["backups"], json!([]), "{backup} died with its droplet");
    let mut again = order("web-2");
    again["image"] = json!(snapshot);
    assert_eq!(sim.post("/v2/droplets", again).await.expect(202)["droplet"]["image"]["id"], snapshot);
}

#[tokio::test]
async fn what_cannot_be_created_is_refused() {
    let sim = Harness::start().await;
    sim.control("POST", "/sim/account", json!({"account": {"droplet_limit": 1}})).await.expect(200);
    for (field, value) in [
        ("size", json!("s-9vcpu")),
        ("image", json!("plan9")),
        ("image", json!(1)),
        ("region", json!("mars1")),
        ("name", json!("under_score")),
        ("name", json!("-dash")),
        ("tags", json!(["no spaces"])),
        ("volumes", json!([])),
    ] {
        let mut wrong = order("web-1");
        wrong[field] = value.clone();
        let status = if field == "volumes" { 202 } else { 422 };
        let seen = sim.post("/v2/droplets", wrong).await;
        assert_eq!(seen.status, status, "{field}: {value}: {}", seen.text);
    }
    let over = sim.post("/v2/droplets", order("web-2")).await.expect(422);
    assert!(over["message"].as_str().unwrap().contains("will exceed your droplet limit"), "{over}");
}

#[tokio::test]
async fn a_gpu_droplet_and_a_hidden_one_are_found_only_where_they_show() {
    let sim = Harness::with(Options { create_hidden_s: 5.0, ..Options::default() }).await;
    let mut gpu = order("trainer");
    gpu["size"] = json!("gpu-h100x1-80gb");
    gpu["image"] = json!("ubuntu-22-04-x64");
    let id = sim.post("/v2/droplets", gpu).await.expect(202)["droplet"]["id"].clone();
    sim.get(&format!("/v2/droplets/{id}")).await.expect(404);
    sim.advance(6).await;
    sim.get(&format!("/v2/droplets/{id}")).await.expect(200);
    assert_eq!(sim.get("/v2/droplets").await.expect(200)["meta"]["total"], 0);
    assert_eq!(sim.get("/v2/droplets?type=gpus").await.expect(200)["meta"]["total"], 1);
}

#[tokio::test]
async fn delays_shrink_with_the_scale() {
    let sim = Harness::with(Options { time_scale: 1000.0, ..Options::default() }).await;
    let id = sim.post("/v2/droplets", order("web-1")).await.expect(202)["droplet"]["id"].clone();
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    assert_eq!(sim.get(&format!("/v2/droplets/{id}")).await.expect(200)["droplet"]["status"], "active");
}

#[tokio::test]
async fn tags_keep_their_first_spelling_and_count_phantoms() {
    let sim = Harness::start().await;
    sim.post("/v2/tags", json!({"name": "Web:Prod"})).await.expect(201);
    let mut droplet = order("web-1");
    droplet["tags"] = json!(["web:prod"]);
    sim.post("/v2/droplets", droplet).await.expect(202);
    sim.get("/v2/tags/web:prod").await.expect(404);
    let phantom = json!({"resources": [{"resource_id": "77", "resource_type": "droplet"}]});
    sim.post("/v2/tags/Web:Prod/resources", phantom).await.expect(204);
    let tag = sim.get("/v2/tags/Web:Prod").await.expect(200);
    assert_eq!(tag["tag"]["resources"]["droplets"]["count"], 2);
    let bad = sim.post("/v2/tags", json!({"name": "a/b"})).await.expect(400);
    assert!(bad.get("root_causes").is_some());
}
