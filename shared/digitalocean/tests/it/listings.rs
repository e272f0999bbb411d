//! Listings that lie, and the ones that are only odd.

use std::{fmt::Write as _, io::Write as _};

use digitalocean::{Client, Error, Page, Purpose, Row, SnapshotSource, TagName, rows::Droplet};

use crate::peer::{Peer, Reply, droplet, page};

/// Walks all droplets and tells in a few words what came of it.
async fn walk(client: &Client) -> String {
    let mut pages = client.droplets();
    let mut story = String::new();
    loop {
        match pages.next().await {
            Ok(Some(Page { items, .. })) => {
                let ids: Vec<String> = items.iter().map(|droplet| droplet.id.to_string()).collect();
                write!(story, "[{}] ", ids.join(" ")).unwrap();
            }
            Ok(None) => {
                assert!(pages.walk().complete);
                let agrees = if pages.walk().agrees() { "agrees" } else { "disagrees" };
                return format!("{story}complete, {agrees}");
            }
            Err(error) => {
                assert!(!pages.walk().complete, "a walk that broke off is not complete");
                let again = pages.next().await;
                assert!(matches!(again, Err(Error::BrokenOff { .. })), "an ended walk stays ended");
                return story + &error.to_string().replace("droplets.list (sync_fast): ", "");
            }
        }
    }
}

async fn check(name: &str, script: Vec<Reply>, want: &str, requests: usize) {
    let peer = Peer::start(script).await;
    let got = walk(&peer.client(Purpose::SyncFast)).await;
    let place = got.find(", line ").map_or(got.len(), |at| at);
    let story = if place < got.len() { format!("{})", &got[..place]) } else { got };
    assert_eq!(story, want, "{name}");
    assert_eq!(peer.seen().len(), requests, "{name}: {:?}", peer.lines());
}

#[tokio::test]
async fn hostile_listings_break_off_and_never_look_empty() {
    let ok = |body: &str| vec![Reply::json(200, body)];
    let one = droplet(1, "a");
    check("well-formed", ok(&page(std::slice::from_ref(&one), None, 1)), "[1] complete, agrees", 1).await;
    check("really empty", ok(&page(&[], None, 0)), "[] complete, agrees", 1).await;

    // HARDENING D1–D5 by number, and their kin.
    let malformed = |what: &str| format!("malformed answer: {what}");
    let html = Reply::with(200, &["content-type: text/html"], b"<html><body>Maintenance</body></html>");
    check("D1 HTML 200", vec![html], &malformed("it is not JSON (at .)"), 1).await;
    check("D2 empty", ok(""), &malformed("it is empty"), 1).await;
    check("D2 204", vec![Reply::json(204, "")], &malformed("it is empty"), 1).await;
    check("D3 truncated", ok(&one[..40]), &malformed("it is cut short (at .)"), 1).await;
    check("D3 cut list", ok(r#"{"droplets":["#), &malformed("it is cut short (at droplets)"), 1).await;
    check(
        "D4 null list",
        ok(r#"{"droplets":null,"links":{},"meta":{"total":0}}"#),
        &malformed("the list droplets is null"),
        1,
    )
    .await;
    check("D4 no list", ok(r#"{"links":{},"meta":{"total":0}}"#), &malformed("there is no list droplets"), 1)
        .await;
    check("D4 null", ok("null"), &malformed("a field is missing or not of its kind (at .)"), 1).await;
    check(
        "D4 error in 200",
        ok(r#"{"id":"server_error","message":"oops"}"#),
        &malformed("there is no list droplets"),
        1,
    )
    .await;
    let swapped = one.replace(r#""id":1,"#, r#""id":"1","#);
    let kind = |place: &str| malformed(&format!("a field is missing or not of its kind (at {place})"));
    check("D5 id as text", ok(&page(&[one.clone(), swapped], None, 2)), &kind("droplets[1].id"), 1).await;
    check(
        "D5 id too large",
        ok(&page(&[one.replace(r#""id":1,"#, r#""id":99999999999999999999,"#)], None, 1)),
        &kind("droplets[0].id"),
        1,
    )
    .await;
    check("F40 null for an object", ok(&page(&["null".to_owned()], None, 1)), &kind("droplets[0]"), 1).await;
    check("F40 object for a list", ok(r#"{"droplets":{}}"#), &kind("droplets"), 1).await;
    check(
        "F40 null region",
        ok(&page(&[one.replace(r#""slug":"nyc3""#, r#""slug":null"#)], None, 1)),
        &kind("droplets[0].region.slug"),
        1,
    )
    .await;
    check(
        "F40 bomb of brackets",
        ok(&format!(r#"{{"droplets":{}"#, "[".repeat(50_000))),
        &kind("droplets[0][0]"),
        1,
    )
    .await;
    check(
        "D11 no date",
        ok(&page(&[one.replace(r#""created_at":"2026-03-01T10:00:00Z","#, "")], None, 1)),
        "[1] complete, agrees",
        1,
    )
    .await;
    check(
        "D11 not a date",
        ok(&page(&[one.replace("2026-03-01T10:00:00Z", "yesterday")], None, 1)),
        &kind("droplets[0].created_at"),
        1,
    )
    .await;
    check(
        "D12 null tags",
        ok(&page(&[one.replace(r#"["web"]"#, "null")], None, 1)),
        "[1] complete, agrees",
        1,
    )
    .await;
}

#[tokio::test]
async fn pages_that_contradict_each_other_break_off() {
    let rows = |ids: &[i64]| ids.iter().map(|id| droplet(*id, "a")).collect::<Vec<_>>();
    let next = |number: u32| format!("/v2/droplets?page={number}&per_page=200");
    let two = |first: String, second: String| vec![Reply::json(200, first), Reply::json(200, second)];

    check(
        "two pages",
        two(page(&rows(&[1, 2]), Some(&next(2)), 3), page(&rows(&[3]), None, 3)),
        "[1 2] [3] complete, agrees",
        2,
    )
    .await;
    check(
        "an empty page in between",
        two(page(&rows(&[]), Some(&next(2)), 1), page(&rows(&[3]), None, 1)),
        "[] [3] complete, agrees",
        2,
    )
    .await;
    check(
        "D7 equal twins",
        two(page(&rows(&[1, 2]), Some(&next(2)), 3), page(&rows(&[2, 3]), None, 3)),
        "[1 2] [3] complete, agrees",
        2,
    )
    .await;
    check("D7 twins on a page", two(page(&rows(&[1, 1]), None, 1), String::new()), "[1] complete, agrees", 1)
        .await;
    check(
        "D7 unequal twins",
        two(page(&rows(&[1, 2]), Some(&next(2)), 3), page(&[droplet(2, "other")], None, 3)),
        "[1 2] 2 came twice, with different contents",
        2,
    )
    .await;
    check(
        "D8 loop",
        vec![Reply::json(200, page(&rows(&[1]), Some(&next(1)), 3))],
        "page 1 names page 1 as the next one",
        1,
    )
    .await;
    check(
        "D8 later loop",
        two(page(&rows(&[1]), Some(&next(2)), 3), page(&rows(&[2]), Some(&next(1)), 3)),
        "[1] page 2 names page 1 as the next one",
        2,
    )
    .await;
    check(
        "D8 gap",
        vec![Reply::json(200, page(&rows(&[1]), Some(&next(7)), 3))],
        "page 1 names page 7 as the next one",
        1,
    )
    .await;
    check(
        "D9 fewer than stated",
        vec![Reply::json(200, page(&rows(&[1]), None, 9))],
        "[1] complete, disagrees",
        1,
    )
    .await;
    check(
        "D9 total changed",
        two(page(&rows(&[1]), Some(&next(2)), 3), page(&rows(&[2]), None, 2)),
        "[1] [2] complete, disagrees",
        2,
    )
    .await;
    check(
        "F42 revoked midway",
        vec![Reply::json(200, page(&rows(&[1]), Some(&next(2)), 3)), Reply::json(401, "{}")],
        "[1] the provider does not accept the token",
        2,
    )
    .await;
    check(
        "F36 fails midway",
        vec![Reply::json(200, page(&rows(&[1]), Some(&next(2)), 3)), Reply::json(503, "")],
        "[1] the provider is unavailable",
        4,
    )
    .await;
}

#[tokio::test]
async fn a_listing_without_end_is_stopped() {
    let peer = Peer::answering(|number, _| {
        let number = number + 1;
        let next = format!("/v2/droplets?page={}", number + 1);
        Reply::json(200, page(&[droplet(number as i64, "a")], Some(&next), 1_000_000))
    })
    .await;
    let story = walk(&peer.client(Purpose::SyncFast)).await;
    assert_eq!(story, "[1] [2] [3] [4] [5] more than 5 pages");
    assert_eq!(peer.seen().len(), 5);
}

#[tokio::test]
async fn a_next_link_to_another_host_gets_nothing() {
    let other = Peer::start([Reply::json(200, page(&[], None, 0))]).await;
    for next in [
        format!("{}v2/droplets?page=2", other.url),
        format!("//{}/v2/droplets?page=2", other.url.authority()),
        "https://api.digitalocean.com/v2/droplets?page=2".to_owned(),
    ] {
        let peer = Peer::start([Reply::json(200, page(&[droplet(1, "a")], Some(&next), 2))]).await;
        let error = peer.client(Purpose::SyncFast).droplets().all().await.unwrap_err();
        assert!(matches!(error, Error::ForeignHost { .. }), "{error}");
        assert_eq!(peer.seen().len(), 1);
    }
    assert_eq!(other.seen().len(), 0);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let other = Peer::start([Reply::json(200, page(&[], None, 0))]).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("location: {}v2/droplets", other.url);
        let peer = Peer::start([Reply::with(status, &[&location], b"")]).await;
        let error = peer.client(Purpose::SyncFast).droplets().next().await.unwrap_err();
        let want = format!(
            "droplets.list (sync_fast): malformed answer: status {status}; redirects are not followed"
        );
        assert_eq!(error.to_string(), want);
        assert_eq!(peer.seen().len(), 1);
    }
    assert_eq!(other.seen().len(), 0);
}

#[tokio::test]
async fn what_is_unknown_is_kept_as_text_and_what_is_dangerous_is_escaped() {
    let name = format!("\u{1b}[31m{}\u{0}", "x".repeat(10_000));
    let odd = droplet(1, &name)
        .replace("nyc3", "mars1")
        .replace(r#""status":"active""#, r#""status":"levitating","subnet_uuid":"u","flux":{"a":[1]}"#)
        .replace("s-1vcpu-1gb", "q-1qubit");
    let peer = Peer::start([Reply::json(200, page(&[odd], None, 1))]).await;
    let (rows, walk) = peer.client(Purpose::SyncFast).droplets().all().await.unwrap();
    assert!(walk.agrees());
    let Droplet { name, status, region, size_slug, .. } = &rows[0];
    assert_eq!((status.as_str(), region.as_str(), size_slug.as_str()), ("levitating", "mars1", "q-1qubit"));
    assert!(name.starts_with(r"\u{1b}[31mxxx"));
    assert!(name.chars().count() < 5000 && !name.chars().any(char::is_control));
    assert_eq!(rows[0].public_v4(), Some("203.0.113.7"));
}

#[tokio::test]
async fn prices_and_sizes_are_the_text_that_came() {
    let size = |slug: &str, hourly: &str| {
        format!(
            r#"{{"slug":"{slug}","memory":512,"vcpus":1,"disk":10,"transfer":0.5,"price_monthly":4.0,
            "price_hourly":{hourly},"regions":null,"available":true,"description":"Basic"}}"#
        )
    };
    let prices = ["0", "-0.01", "\"0.00744\"", "0.00743999984115362", "0.12345678901234567890"];
    let list: Vec<String> = prices.iter().enumerate().map(|(n, price)| size(&n.to_string(), price)).collect();
    let body = format!(r#"{{"sizes":[{}],"links":{{}},"meta":{{"total":5}}}}"#, list.join(","));
    let broken = body.replace("-0.01", "\"free\"");
    let peer = Peer::start([Reply::json(200, body), Reply::json(200, broken)]).await;
    let client = peer.client(Purpose::SyncFull);
    let (rows, _) = client.sizes().all().await.unwrap();
    let got: Vec<&str> = rows.iter().map(|size| size.price_hourly.as_str()).collect();
    assert_eq!(got, prices.map(|price| price.trim_matches('"')));
    assert!(rows[1].price_hourly.is_negative() && !rows[0].price_hourly.is_negative());
    let error = client.sizes().all().await.unwrap_err().to_string();
    assert!(error.contains("sizes[1].price_hourly") && !error.contains("free"), "{error}");
}

#[tokio::test]
async fn a_body_is_capped_after_inflation() {
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let headers = ["content-encoding: gzip", "content-type: application/json"];
    let small = gzip(page(&[droplet(1, "a")], None, 1).as_bytes());
    check("gzip", vec![Reply::with(200, &headers, &small)], "[1] complete, agrees", 1).await;
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 128 << 10);
    let want = "the answer is longer than 65536 bytes";
    check("D18 bomb", vec![Reply::with(200, &headers, &bomb[..60_000])], want, 1).await;
    check("long", vec![Reply::json(200, " ".repeat(70_000))], want, 1).await;
    let chunk = format!("{:x}\r\n{}\r\n", 4096, "x".repeat(4096)).into_bytes();
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    check("D17 endless", vec![Reply::Endless(head, chunk, std::time::Duration::ZERO)], want, 1).await;
}

#[tokio::test]
async fn every_listing_asks_where_the_provider_answers() {
    async fn empty<T: Row>(pages: digitalocean::Pages<T>) {
        let (rows, walk) = pages.all().await.unwrap();
        assert!(rows.is_empty() && walk.agrees());
    }
    let peer = Peer::answering(|_, seen| {
        let path = seen.line.split(['?', ' ']).nth(1).unwrap();
        let key = match path.rsplit('/').next().unwrap() {
            "clusters" => "kubernetes_clusters",
            "records" => "domain_records",
            "i1" => "invoice_items",
            "apps" => return Reply::json(200, r#"{"links":{},"meta":{"total":0}}"#),
            key => key,
        };
        Reply::json(200, format!(r#"{{"{key}":[],"links":{{"pages":{{}}}},"meta":{{"total":0}}}}"#))
    })
    .await;
    let client = peer.client(Purpose::SyncFull);
    empty(client.droplets()).await;
    empty(client.gpu_droplets()).await;
    empty(client.droplets_tagged(&TagName::parse("arcadia:saga:1").unwrap())).await;
    empty(client.droplet_backups(7)).await;
    empty(client.droplet_snapshots(7)).await;
    empty(client.droplet_actions(7)).await;
    empty(client.domains()).await;
    empty(client.volumes()).await;
    empty(client.snapshots(SnapshotSource::All)).await;
    empty(client.snapshots(SnapshotSource::Droplets)).await;
    empty(client.snapshots(SnapshotSource::Volumes)).await;
    empty(client.reserved_ips()).await;
    empty(client.firewalls()).await;
    empty(client.load_balancers()).await;
    empty(client.databases()).await;
    empty(client.kubernetes_clusters()).await;
    empty(client.apps()).await;
    empty(client.projects()).await;
    empty(client.project_resources("p1")).await;
    empty(client.tags()).await;
    empty(client.regions()).await;
    empty(client.dns_records("example.com", digitalocean::RecordFilter::default())).await;
    empty(client.billing_history()).await;
    empty(client.invoices()).await;
    empty(client.invoice_items("i1")).await;
    let paths: Vec<String> = peer
        .lines()
        .iter()
        .map(|line| line.replace("GET /v2/", "").replace("page=1&per_page=200", "P"))
        .collect();
    assert_eq!(
        paths,
        [
            "droplets?P",
            "droplets?type=gpus&P",
            "droplets?tag_name=arcadia%3Asaga%3A1&P",
            "droplets/7/backups?P",
            "droplets/7/snapshots?P",
            "droplets/7/actions?P",
            "domains?P",
            "volumes?P",
            "snapshots?P",
            "snapshots?resource_type=droplet&P",
            "snapshots?resource_type=volume&P",
            "reserved_ips?P",
            "firewalls?P",
            "load_balancers?P",
            "databases",
            "kubernetes/clusters?P",
            "apps?with_projects=true&P",
            "projects?P",
            "projects/p1/resources?P",
            "tags?P",
            "regions?P",
            "domains/example.com/records?P",
            "customers/my/billing_history?P",
            "customers/my/invoices?P",
            "customers/my/invoices/i1?P",
        ]
    );
}
