//! The control port: what it does to the account, and what it refuses.

use digitalocean_sim::Options;
use serde_json::{Value, json};

use crate::harness::Harness;

#[tokio::test]
async fn what_it_cannot_use_it_refuses_by_field() {
    let sim = Harness::start().await;
    for (path, body, field) in [
        ("/sim/account", json!([]), "body"),
        ("/sim/account", json!({"planets": 3}), "planets"),
        ("/sim/account", json!({"droplets": -1}), "droplets"),
        ("/sim/account", json!({"droplets": [{"name": "a"}, {"id": "x"}]}), "droplets[1].id"),
        ("/sim/account", json!({"droplets": [{"id": 7}, {"id": 7}]}), "droplets[1].id"),
        ("/sim/account", json!({"droplets": [{"size_slug": "huge"}]}), "droplets[0].size_slug"),
        ("/sim/account", json!({"projects": ["a", "a"]}), "projects[1].name"),
        (
            "/sim/account",
            json!({"projects": [{"name": "a", "resources": ["do:droplet:1"]}]}),
            "projects[0].resources",
        ),
        ("/sim/droplets", json!({"project": "none"}), "droplets[0].project"),
        ("/sim/domains", json!({}), "domains[0].name"),
        ("/sim/clock", json!({"advance_s": -1}), "advance_s"),
        ("/sim/clock", json!({"warp": 9}), "warp"),
        ("/sim/faults", json!({"behaviour": "hang"}), "operation"),
        ("/sim/faults", json!({"operation": "droplets_lst", "behaviour": "hang"}), "operation"),
        ("/sim/faults", json!({"operation": "*", "behaviour": "sulk"}), "behaviour"),
        ("/sim/faults", json!({"operation": "*", "behaviour": {"status": 99}}), "behaviour.status"),
        ("/sim/faults", json!({"operation": "*", "behaviour": "hang", "often": 1}), "often"),
        ("/sim/faults", json!({"operation": "*", "behaviour": "hang", "times": "1"}), "times"),
    ] {
        let seen = sim.control("POST", path, body.clone()).await;
        assert_eq!((seen.status, &seen.body["field"]), (422, &json!(field)), "{path} {body}: {}", seen.text);
    }
    sim.control("POST", "/sim/planets", json!({})).await.expect(404);
    sim.control("DELETE", "/sim/droplets/1", Value::Null).await.expect(404);
    assert_eq!(sim.get("/v2/droplets").await.expect(200)["meta"]["total"], 0, "nothing of it took effect");
}

#[tokio::test]
async fn rows_come_change_and_go_at_once() {
    let sim = Harness::start().await;
    let row = json!({"id": 42, "name": "odd", "region": "mars1", "surprise": {"deep": true}});
    sim.control("POST", "/sim/droplets", json!([row, {"name": "plain"}])).await.expect(200);
    let odd = sim.get("/v2/droplets/42").await.expect(200)["droplet"].clone();
    assert_eq!((&odd["region"]["slug"], &odd["surprise"]["deep"]), (&json!("mars1"), &json!(true)));
    let change = json!({"status": "archive", "memory": 77, "tags": null});
    sim.control("PATCH", "/sim/droplets/42", change).await.expect(200);
    let odd = sim.get("/v2/droplets/42").await.expect(200)["droplet"].clone();
    assert_eq!((&odd["status"], &odd["memory"], &odd["tags"]), (&json!("archive"), &json!(77), &Value::Null));
    sim.control("DELETE", "/sim/droplets/42", Value::Null).await.expect(200);
    sim.get("/v2/droplets/42").await.expect(404);
    assert_eq!(sim.get("/v2/projects/default/resources").await.expect(200)["meta"]["total"], 1);

    sim.control("POST", "/sim/projects", json!({"name": "acme"})).await.expect(200);
    sim.control("POST", "/sim/spaces", json!({"name": "assets", "project": "acme"})).await.expect(200);
    let urns = json!({"resources": ["do:space:assets"]});
    sim.control("POST", "/sim/projects/acme/resources", urns).await.expect(200);
    sim.control("DELETE", "/sim/spaces/assets", Value::Null).await.expect(200);

    sim.control("POST", "/sim/zones", json!({"name": "a.example"})).await.expect(200);
    let record = json!({"type": "A", "name": "x", "data": "203.0.113.1"});
    let id = sim.control("POST", "/sim/records/a.example", record).await.expect(200)["ids"][0].clone();
    sim.control("PATCH", &format!("/sim/records/a.example/{id}"), json!({"ttl": 9})).await.expect(200);
    let seen = sim.get(&format!("/v2/domains/a.example/records/{id}")).await.expect(200);
    assert_eq!(seen["domain_record"]["ttl"], 9);
    sim.control("DELETE", &format!("/sim/records/a.example/{id}"), Value::Null).await.expect(200);
}

#[tokio::test]
async fn the_state_it_shows_it_takes_back() {
    let sim = Harness::demo().await;
    sim.post("/v2/droplets", json!({"name": "n", "size": "s-1vcpu-1gb", "image": "debian-12-x64"}))
        .await
        .expect(202);
    let mut state = sim.state().await;
    let other = Harness::start().await;
    other.control("POST", "/sim/account", state.clone()).await.expect(200);
    let mut taken = other.state().await;
    for state in [&mut state, &mut taken] {
        state["now"] = Value::Null;
    }
    pretty(&state, &taken);
    other.advance(60).await;
    assert_eq!(other.state().await["pending"], json!([]));
}

/// Points at the part that differs rather than printing two accounts.
fn pretty(a: &Value, b: &Value) {
    for (name, part) in a.as_object().unwrap() {
        assert_eq!(part, &b[name], "{name}");
    }
}

#[tokio::test]
async fn the_log_has_every_call_and_who_made_it() {
    let sim = Harness::start().await;
    sim.get("/v2/account").await.expect(200);
    let first = sim.control("GET", "/sim/log", Value::Null).await.expect(200)["last"].clone();
    sim.post("/v2/tags", json!({"name": "t"})).await.expect(201);
    sim.get("/v2/nowhere?x=1").await.expect(404);
    let log = sim.control("GET", &format!("/sim/log?since={first}"), Value::Null).await.expect(200);
    let calls = log["calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    assert_eq!((&calls[0]["operation"], &calls[0]["status"]), (&json!("tags_create"), &json!(201)));
    assert_eq!((&calls[0]["token"], &calls[0]["body"]["name"]), (&json!("dop_v1_test"), &json!("t")));
    assert_eq!((&calls[1]["path"], &calls[1]["operation"]), (&json!("/v2/nowhere?x=1"), &Value::Null));
}

#[tokio::test]
async fn a_restart_with_a_state_file_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { state: Some(dir.path().join("account.json")), ..Options::default() };
    let sim = Harness::with(options.clone()).await;
    let born =
        sim.post("/v2/droplets", json!({"name": "n", "size": "s-1vcpu-1gb", "image": "debian-12-x64"})).await;
    let id = born.expect(202)["droplet"]["id"].clone();
    sim.sim.stop().await;
    let sim = Harness::with(options).await;
    assert_eq!(sim.get(&format!("/v2/droplets/{id}")).await.expect(200)["droplet"]["status"], "new");
    sim.advance(60).await;
    assert_eq!(sim.get(&format!("/v2/droplets/{id}")).await.expect(200)["droplet"]["status"], "active");
    let next = sim.droplet("another").await;
    assert!(Some(next) > id.as_i64(), "no id is given twice");
}
