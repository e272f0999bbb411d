//! The rate limit: waiting for it, being refused by it, and sharing it.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use digitalocean::{BudgetSize, Budgets, Client, Error, Purpose};

use crate::peer::{Peer, Reply, TOKEN, droplet, page};

fn good() -> Reply {
    Reply::json(200, page(&[droplet(1, "a")], None, 1))
}

fn in_an_hour() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3600
}

#[tokio::test]
async fn a_429_is_waited_out_whatever_it_says_within_bounds() {
    let reset = format!("RateLimit-Reset: {}", in_an_hour());
    // The least pause in milliseconds; the longest allowed is 60.
    let cases: [(&str, Vec<&str>, u64); 9] = [
        ("nothing", vec![], 1),
        ("seconds", vec!["Retry-After: 1"], 60),
        ("zero", vec!["retry-after: 0"], 1),
        ("ten to the ninth", vec!["retry-after: 1000000000"], 60),
        ("more than fits", vec!["retry-after: 99999999999999999999999999"], 60),
        ("negative", vec!["retry-after: -1"], 1),
        ("a date to come", vec!["retry-after: Fri, 31 Dec 2100 23:59:59 GMT"], 60),
        ("a date gone by", vec!["retry-after: Wed, 21 Oct 2015 07:28:00 GMT"], 1),
        ("the hourly limit", vec![&reset, "RATELIMIT-REMAINING: 0"], 60),
    ];
    for (name, headers, least) in cases {
        let refusal = Reply::with(429, &headers, br#"{"id":"too_many_requests","message":"slow down"}"#);
        let peer = Peer::start([refusal.clone(), good()]).await;
        let begun = Instant::now();
        let page = peer.client(Purpose::SyncFast).droplets().next().await.unwrap().unwrap();
        let waited = begun.elapsed();
        assert_eq!(page.items.len(), 1, "{name}");
        assert_eq!(peer.seen().len(), 2, "{name}");
        assert!(waited >= Duration::from_millis(least), "{name}: {waited:?}");
        assert!(waited < Duration::from_secs(3), "{name}: {waited:?}");

        let peer = Peer::start([refusal]).await;
        let error = peer.client(Purpose::SyncFast).droplets().next().await.unwrap_err();
        let Error::RateLimited { retry_after, .. } = error else { panic!("{name}: {error}") };
        assert!(retry_after <= Duration::from_millis(60), "{name}: {retry_after:?}");
        assert_eq!(peer.seen().len(), 3, "{name}: no storm");
    }
}

#[tokio::test]
async fn when_the_provider_says_that_nothing_is_left_the_next_call_waits() {
    let spent = Reply::with(
        200,
        &["ratelimit-limit: 5000", "ratelimit-remaining: 0", &format!("ratelimit-reset: {}", in_an_hour())],
        page(&[], None, 0).as_bytes(),
    );
    let peer = Peer::start([spent, good()]).await;
    let client = peer.client(Purpose::SyncFast);
    client.droplets().next().await.unwrap();
    let begun = Instant::now();
    client.droplets().next().await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(50), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn nonsense_in_the_rate_headers_changes_nothing() {
    for headers in [
        ["ratelimit-remaining: -5", "ratelimit-reset: 0"],
        ["ratelimit-remaining: many", "ratelimit-reset: 99999999999999999999999"],
        ["ratelimit-remaining: 0", "ratelimit-reset: 1"],
        ["ratelimit-remaining: 0", "x: y"],
    ] {
        let peer = Peer::start([Reply::with(200, &headers, page(&[], None, 0).as_bytes())]).await;
        let client = peer.client(Purpose::SyncFast);
        let begun = Instant::now();
        for _ in 0..5 {
            client.droplets().next().await.unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{headers:?}");
    }
}

#[tokio::test]
async fn clients_of_one_token_share_its_budget_and_others_do_not() {
    let peer = Peer::start([good()]).await;
    let budgets = Budgets::new(BudgetSize { per_minute: 2, per_hour: 100 });
    let client = |purpose, token: &str| {
        let mut settings = peer.settings(purpose);
        settings.token = token.into();
        settings.budget = Some(budgets.for_token(&settings.token));
        settings.limits.budget_wait_max = Duration::from_millis(30);
        Client::new(settings).unwrap()
    };
    let fast = client(Purpose::SyncFast, TOKEN);
    let full = client(Purpose::SyncFull, TOKEN);
    let billing = client(Purpose::Billing, "dop_v1_another");
    fast.droplets().next().await.unwrap();
    full.droplets().next().await.unwrap();
    for spent in [&fast, &full] {
        let error = spent.droplets().next().await.unwrap_err();
        let Error::RateLimited { retry_after, .. } = error else { panic!("{error}") };
        assert!(retry_after > Duration::from_secs(50), "{retry_after:?}");
    }
    billing.droplets().next().await.unwrap();
    assert_eq!(peer.seen().len(), 3, "a call without budget is not sent");
}

#[tokio::test]
async fn many_callers_at_once_stay_within_the_budget() {
    let peer = Peer::start([good()]).await;
    let mut settings = peer.settings(Purpose::SyncFast);
    settings.limits.budget_per_minute = 10;
    settings.limits.budget_wait_max = Duration::from_millis(50);
    let client = Arc::new(Client::new(settings).unwrap());
    let calls = (0..40).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.droplets().next().await.is_ok() })
    });
    let mut served = 0;
    for call in calls.collect::<Vec<_>>() {
        served += u32::from(call.await.unwrap());
    }
    assert_eq!(served, 10);
    assert_eq!(peer.seen().len(), 10);
}
