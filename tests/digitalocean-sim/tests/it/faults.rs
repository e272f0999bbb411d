//! Each fault does what its name says, to the calls it is for, as often as asked.

use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Harness, Seen};

const ORDER: &str = r#"{"name": "web-1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}"#;

async fn with(behaviour: Value) -> Harness {
    let sim = Harness::start().await;
    sim.control("POST", "/sim/account", json!({"droplets": 30})).await.expect(200);
    sim.fault(json!({"operation": "droplets_list", "behaviour": behaviour, "times": 1})).await;
    sim
}

async fn listing(behaviour: Value) -> Seen {
    with(behaviour).await.get("/v2/droplets").await
}

#[tokio::test]
async fn the_effect_takes_place_and_the_answer_does_not() {
    for behaviour in ["commit_then_500", "commit_then_reset"] {
        let sim = Harness::start().await;
        sim.fault(json!({"operation": "droplets_create", "behaviour": behaviour, "times": 1})).await;
        let order: Value = serde_json::from_str(ORDER).unwrap();
        match sim.try_call("POST", "/v2/droplets", &order).await {
            Ok(seen) => assert_eq!((behaviour, seen.status), ("commit_then_500", 500)),
            Err(error) => assert_eq!(behaviour, "commit_then_reset", "{error}"),
        }
        let log = sim.control("GET", "/sim/log", Value::Null).await.expect(200);
        let last = log["calls"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&last["executed"], &last["fault"]), (&json!(true), &json!(behaviour)));
        sim.advance(60).await;
        assert_eq!(sim.get("/v2/droplets").await.expect(200)["meta"]["total"], 1);
    }
}

#[tokio::test]
async fn an_answer_instead_has_no_effect_and_strikes_as_often_as_asked() {
    let sim = Harness::start().await;
    let behaviour = json!({"status": 429, "headers": {"Retry-After": "7"}});
    sim.fault(json!({"method": "POST", "path": "/v2/drop", "behaviour": behaviour, "times": 2})).await;
    let order: Value = serde_json::from_str(ORDER).unwrap();
    for _ in 0..2 {
        let seen = sim.post("/v2/droplets", order.clone()).await;
        assert_eq!(seen.header("retry-after"), Some("7"));
        assert_eq!(seen.expect(429)["id"], "too_many_requests");
    }
    sim.post("/v2/droplets", order).await.expect(202);
    assert_eq!(sim.state().await["droplets"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_fault_is_for_a_token_and_a_page() {
    let sim = Harness::start().await;
    let fault = json!({"operation": "*", "token": "dop_v1_a", "page": 2, "behaviour": {"status": 503, "body": "oops"}});
    sim.fault(fault).await;
    for (token, path, status) in [
        ("dop_v1_a", "/v2/droplets", 200),
        ("dop_v1_b", "/v2/droplets?page=2", 200),
        ("dop_v1_a", "/v2/droplets?page=2", 503),
    ] {
        let seen = sim.try_call_as(Some(token), "GET", path, &Value::Null).await.unwrap();
        assert_eq!(seen.status, status, "{token} {path}");
    }
    sim.control("DELETE", "/sim/faults", Value::Null).await.expect(200);
    sim.try_call_as(Some("dop_v1_a"), "GET", "/v2/droplets?page=2", &Value::Null).await.unwrap().expect(200);
}

#[tokio::test]
async fn listings_lie() {
    assert_eq!(listing(json!("null_list")).await.expect(200)["droplets"], Value::Null);
    let empty = listing(json!("empty_list")).await.expect(200);
    assert_eq!(
        (&empty["droplets"], &empty["meta"]["total"], &empty["links"]),
        (&json!([]), &json!(0), &json!({}))
    );
    let dropped = listing(json!({"drop_rows": 3})).await.expect(200);
    assert_eq!((dropped["droplets"].as_array().unwrap().len(), &dropped["meta"]["total"]), (17, &json!(30)));
    let foreign = listing(json!({"foreign_next": "http://evil.invalid/"})).await.expect(200);
    assert_eq!(foreign["links"]["pages"]["next"], "http://evil.invalid/");
    let sim = with(json!("page_loop")).await;
    let looped = sim.get("/v2/droplets?page=1").await.expect(200);
    assert_eq!(looped["links"]["pages"]["next"], format!("{}/v2/droplets?page=1", sim.sim.url()));
    let html = listing(json!("html")).await;
    assert_eq!((html.status, html.header("content-type")), (200, Some("text/html")));
    let redirect = listing(json!("redirect")).await;
    assert_eq!(redirect.header("location"), Some("http://elsewhere.invalid/v2/droplets?page=2"));
    redirect.expect(302);
}

#[tokio::test]
async fn connections_break() {
    for behaviour in ["reset", "truncate"] {
        let sim = with(json!(behaviour)).await;
        assert!(sim.try_call("GET", "/v2/droplets", &Value::Null).await.is_err(), "{behaviour}");
        sim.get("/v2/droplets").await.expect(200);
    }
    for behaviour in ["hang", "drip"] {
        let sim = with(json!(behaviour)).await;
        let call = sim.try_call("GET", "/v2/droplets", &Value::Null);
        assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err(), "{behaviour}");
    }
    let sim = with(json!({"delay_ms": 120})).await;
    let started = Instant::now();
    sim.get("/v2/droplets").await.expect(200);
    assert!(started.elapsed() >= Duration::from_millis(120));
}

#[tokio::test]
async fn some_answers_never_end() {
    let sim = with(json!("huge")).await;
    let request = sim.http.get(format!("{}/v2/droplets", sim.sim.url())).bearer_auth("dop_v1_x");
    let mut response = request.send().await.unwrap();
    let mut read = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        read += chunk.len();
        if read > 32 << 20 {
            return;
        }
    }
    panic!("it ended after {read} bytes");
}

#[tokio::test]
async fn a_small_answer_inflates() {
    let sim = with(json!("gzip_bomb")).await;
    let plain = reqwest::Client::builder().no_gzip().no_proxy().build().unwrap();
    let request = plain.get(format!("{}/v2/droplets", sim.sim.url())).bearer_auth("dop_v1_x");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let packed = response.bytes().await.unwrap();
    assert!(packed.len() < 1 << 20, "{}", packed.len());
    let mut inflated = 0;
    let mut decoder = flate2::read::GzDecoder::new(&packed[..]);
    let mut buffer = vec![0; 1 << 20];
    while inflated < 256 << 20 {
        let read = decoder.read(&mut buffer).unwrap();
        assert_ne!(read, 0, "it ended after {inflated} bytes");
        inflated += read;
    }
    assert_eq!(decoder.read(&mut buffer).unwrap(), 0, "the checksum holds");
}
