//! The rate limit: per token, sliding, with retry-after for bursts alone.

use digitalocean_sim::Options;
use serde_json::Value;

use crate::harness::Harness;

#[tokio::test]
async fn the_burst_limit_says_when_to_come_back() {
    let sim = Harness::with(Options { burst_per_minute: 3, ..Options::default() }).await;
    for remaining in ["4999", "4998", "0"] {
        let seen = sim.get("/v2/account").await;
        assert_eq!((seen.status, seen.header("ratelimit-remaining")), (200, Some(remaining)));
    }
    let refused = sim.get("/v2/account").await;
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(refused.header("ratelimit-remaining"), Some("0"));
    refused.expect(429);
    // Another token has a budget of its own; time opens this one again.
    let other = sim.try_call_as(Some("dop_v1_other"), "GET", "/v2/account", &Value::Null).await.unwrap();
    other.expect(200);
    sim.advance(wait).await;
    sim.get("/v2/account").await.expect(200);
}

#[tokio::test]
async fn the_hourly_limit_slides_and_names_only_the_reset() {
    let sim = Harness::with(Options { per_hour: 2, burst_per_minute: 0, ..Options::default() }).await;
    sim.get("/v2/account").await.expect(200);
    sim.advance(1800).await;
    sim.get("/v2/account").await.expect(200);
    let refused = sim.get("/v2/account").await;
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit-limit")), (None, Some("2")));
    assert!(refused.header("ratelimit-reset").is_some());
    refused.expect(429);
    // Half an hour later the first call has expired, not the second.
    sim.advance(1801).await;
    sim.get("/v2/account").await.expect(200);
    sim.get("/v2/account").await.expect(429);
}

#[tokio::test]
async fn keys_have_a_limit_of_their_own() {
    let sim = Harness::start().await;
    for _ in 0..10 {
        sim.get("/v2/account/keys").await.expect(200);
    }
    sim.get("/v2/account/keys").await.expect(429);
    sim.get("/v2/account").await.expect(200);
}

#[tokio::test]
async fn strangers_are_told_nothing() {
    let sim = Harness::with(Options { tokens: vec!["one".into()], ..Options::default() }).await;
    for token in [None, Some("dop_v1_test"), Some("")] {
        let seen = sim.try_call_as(token, "GET", "/v2/droplets", &Value::Null).await.unwrap();
        assert_eq!(seen.expect(401)["message"], "Unable to authenticate you");
    }
    sim.try_call_as(Some("one"), "GET", "/v2/droplets", &Value::Null).await.unwrap().expect(200);
}
