//! A provider that is slow, silent, broken or not there.

use std::{
    error::Error as _,
    time::{Duration, Instant},
};

use digitalocean::{Client, Error, Outage, Purpose};
use tokio::net::TcpListener;

use crate::peer::{Peer, Reply, droplet, page};

fn good() -> Reply {
    Reply::json(200, page(&[droplet(1, "a")], None, 1))
}

async fn first_page(client: &Client) -> Result<usize, Error> {
    client.droplets().next().await.map(|page| page.map_or(0, |page| page.items.len()))
}

#[tokio::test]
async fn reads_survive_a_provider_that_flaps() {
    for (name, bad) in [
        ("500", Reply::json(500, "oops")),
        ("502 in HTML", Reply::with(502, &["content-type: text/html"], b"<html>")),
        ("503 asking for a year", Reply::with(503, &["retry-after: 31536000"], b"")),
        ("closed without a word", Reply::Last(Vec::new())),
        ("closed in the head", Reply::Last(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec())),
        ("closed in the body", Reply::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"drop".to_vec())),
        ("not HTTP", Reply::Last(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec())),
        ("silence", Reply::Hang(Vec::new())),
    ] {
        let peer = Peer::start([bad.clone(), good()]).await;
        assert_eq!(first_page(&peer.client(Purpose::SyncFast)).await.unwrap(), 1, "{name}");
        assert_eq!(peer.seen().len(), 2, "{name}");

        let peer = Peer::start([bad]).await;
        let error = first_page(&peer.client(Purpose::SyncFast)).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { sent: true, .. }), "{name}: {error}");
        assert_eq!(peer.seen().len(), 3, "{name}: one attempt and two repetitions");
    }
}

#[tokio::test]
async fn a_drip_does_not_outlast_the_deadline() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n".to_vec();
    let pause = Duration::from_millis(20);
    for (name, reply) in [
        ("a byte at a time", Reply::Endless(head.clone(), b" ".to_vec(), pause)),
        (
            "a header at a time",
            Reply::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x-a: b\r\n".to_vec(), pause),
        ),
        ("headers, then silence", Reply::Hang(head)),
    ] {
        let peer = Peer::start([reply]).await;
        let mut settings = peer.settings(Purpose::SyncFast);
        settings.limits.retries_max = 0;
        let begun = Instant::now();
        let error = first_page(&Client::new(settings).unwrap()).await.unwrap_err();
        assert!(
            matches!(error, Error::Unavailable { sent: true, cause: Outage::Deadline(_), .. }),
            "{name}: {error:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(2), "{name}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn nothing_is_sent_when_there_is_no_connection() {
    // A port that was free a moment ago and has nobody behind it.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let peer = Peer::start([good()]).await;
    for address in [format!("http://127.0.0.1:{port}"), "http://nobody.invalid".to_owned()] {
        let mut settings = peer.settings(Purpose::SyncFast);
        settings.base_url = address.parse().unwrap();
        let error = first_page(&Client::new(settings).unwrap()).await.unwrap_err();
        let Error::Unavailable { sent: false, cause: Outage::Connect(_), .. } = &error else {
            panic!("{address}: {error:?}");
        };
        assert!(!error.may_have_taken_effect());
        assert!(error.source().is_some());
    }
}

#[tokio::test]
async fn refusals_are_sorted_by_what_to_do_and_not_repeated() {
    let body = r#"{"id":"some_id","message":"No\u001b[31m way","request_id":"r"}"#;
    for (status, body, want) in [
        (400, body, r"refused with 400: No\u{1b}[31m way"),
        (400, r#"{"error":"bad tag","messages":null,"root_causes":[]}"#, "refused with 400: bad tag"),
        (401, body, "the provider does not accept the token"),
        (403, body, "the token lacks the permission"),
        (404, body, "not found"),
        (409, body, r"conflict: No\u{1b}[31m way"),
        (412, body, r"refused with 412: No\u{1b}[31m way"),
        (422, body, r"refused with 422: No\u{1b}[31m way"),
        (418, "<html>teapot", "refused with 418: "),
    ] {
        let peer = Peer::start([Reply::json(status, body)]).await;
        let error = first_page(&peer.client(Purpose::SyncFast)).await.unwrap_err();
        assert_eq!(error.to_string(), format!("droplets.list (sync_fast): {want}"));
        assert_eq!(error.call().purpose, Purpose::SyncFast);
        assert_eq!(peer.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_long_refusal_is_cut() {
    let body = format!(r#"{{"id":"x","message":"{}"}}"#, "y".repeat(20_000));
    let peer = Peer::start([Reply::json(422, body)]).await;
    let error = first_page(&peer.client(Purpose::SyncFast)).await.unwrap_err();
    assert!(error.to_string().len() < 400, "{error}");
    let peer = Peer::start([Reply::json(401, "z".repeat(5_000_000))]).await;
    let error = first_page(&peer.client(Purpose::SyncFast)).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
}
