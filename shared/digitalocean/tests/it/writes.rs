//! Changes to the account: sent once, and honest about whether they may have happened.

use digitalocean::{
    Client, DropletOrder, Error, ImageRef, NewDnsRecord, NewProject, ProjectPatch, Purpose, Resize, TagName,
    TagTarget, Urn,
};

use crate::peer::{Peer, Reply, droplet};

fn order() -> DropletOrder {
    DropletOrder::new("web-1", "s-1vcpu-1gb", ImageRef::Id(4711))
}

fn created() -> Reply {
    let body = format!(
        r#"{{"droplet":{},"links":{{"actions":[{{"id":3447070040,"rel":"create","href":"/v2/actions/3447070040"}}]}}}}"#,
        droplet(600_000_001, "web-1")
    );
    Reply::json(202, body)
}

#[tokio::test]
async fn a_create_that_may_have_arrived_is_never_sent_again() {
    for (name, reply) in [
        ("500", Reply::json(500, "")),
        ("503 with Retry-After", Reply::with(503, &["retry-after: 0"], b"")),
        ("closed without an answer", Reply::Last(Vec::new())),
        (
            "closed in the answer",
            Reply::Last(b"HTTP/1.1 202 Accepted\r\ncontent-length: 90\r\n\r\n{".to_vec()),
        ),
        ("no answer in time", Reply::Hang(Vec::new())),
        ("an answer that makes no sense", Reply::json(202, "<html>")),
        ("an answer without an id", Reply::json(202, "{}")),
        ("an endless answer", Reply::json(202, " ".repeat(70_000))),
    ] {
        let peer = Peer::start([reply, created()]).await;
        let error = peer.client(Purpose::Provisioning).create_droplet(&order()).await.unwrap_err();
        assert!(error.may_have_taken_effect(), "{name}: {error}");
        assert_eq!(peer.seen().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_create_on_a_connection_that_just_died_is_not_sent_again() {
    // The first answer leaves the connection open; the create on it gets no answer.
    let account = Reply::json(200, r#"{"account":{"uuid":"u","status":"active"}}"#);
    let peer = Peer::start([account, Reply::Last(Vec::new()), created()]).await;
    let client = peer.client(Purpose::Provisioning);
    client.account().await.unwrap();
    let error = client.create_droplet(&order()).await.unwrap_err();
    assert!(error.may_have_taken_effect(), "{error}");
    assert_eq!(peer.lines(), ["GET /v2/account", "POST /v2/droplets"]);
}

#[tokio::test]
async fn a_create_that_was_refused_for_its_rate_is_sent_again() {
    let peer = Peer::start([Reply::with(429, &["retry-after: 0"], b"{}"), created()]).await;
    let made = peer.client(Purpose::Provisioning).create_droplet(&order()).await.unwrap();
    assert_eq!((made.id, made.action_id), (600_000_001, Some(3_447_070_040)));
    assert_eq!(peer.seen().len(), 2);
}

#[tokio::test]
async fn a_refused_create_did_nothing() {
    let peer = Peer::start([Reply::json(422, r#"{"id":"unprocessable_entity","message":"limit"}"#)]).await;
    let error = peer.client(Purpose::Provisioning).create_droplet(&order()).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 422, .. }), "{error}");
    assert!(!error.may_have_taken_effect());
}

#[tokio::test]
async fn deletes_and_replacements_are_repeated() {
    let gone = Reply::json(404, r#"{"id":"not_found","message":"gone"}"#);
    let peer = Peer::start([Reply::json(503, ""), Reply::Last(Vec::new()), gone]).await;
    let error = peer.client(Purpose::Provisioning).delete_droplet(7).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert_eq!(peer.lines(), ["DELETE /v2/droplets/7"; 3]);

    let record = r#"{"domain_record":{"id":5,"type":"A","name":"www","data":"203.0.113.7","ttl":60}}"#;
    let peer = Peer::start([Reply::json(502, ""), Reply::json(200, record)]).await;
    let new = NewDnsRecord::new("A", "www", "203.0.113.7");
    let got = peer.client(Purpose::Provisioning).update_dns_record("example.com", 5, &new).await.unwrap();
    assert_eq!(got.ttl, Some(60));
    assert_eq!(peer.lines(), ["PUT /v2/domains/example.com/records/5"; 2]);
}

#[tokio::test]
async fn an_id_cannot_make_a_request_mean_something_else() {
    let peer = Peer::start([Reply::json(204, "")]).await;
    let client = peer.client(Purpose::Provisioning);
    for id in ["", ".", ".."] {
        let error = client.delete_snapshot(id).await.unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{id:?}: {error}");
        assert!(!error.may_have_taken_effect());
    }
    assert_eq!(peer.seen().len(), 0);
    client.delete_snapshot("../droplets/7?x=#y").await.unwrap();
    assert_eq!(peer.lines(), ["DELETE /v2/snapshots/..%2Fdroplets%2F7%3Fx=%23y"]);
}

#[tokio::test]
async fn every_change_is_sent_as_the_provider_wants_it() {
    let peer = Peer::answering(|_, seen| {
        let path = seen.line.as_str();
        match path {
            "POST /v2/droplets" => created(),
            _ if path.contains("/droplets/7/actions") => Reply::json(
                201,
                r#"{"action":{"id":3447070041,"status":"in-progress","type":"x","started_at":"2026-03-01T10:00:00Z",
                "completed_at":null,"resource_id":7,"resource_type":"droplet","region":{"slug":"nyc3"},"region_slug":"nyc3"}}"#,
            ),
            _ if path.ends_with("/records") => {
                Reply::json(201, r#"{"domain_record":{"id":5,"type":"CNAME","name":"www","data":"example.com","ttl":1800,"priority":null}}"#)
            }
            "POST /v2/tags" => Reply::json(201, r#"{"tag":{"name":"t","resources":{"count":0}}}"#),
            "POST /v2/projects/p1/resources" => Reply::json(
                200,
                r#"{"resources":[{"urn":"do:droplet:7","status":"assigned"},{"urn":"do:floatingip:203.0.113.9","status":"service_down"}]}"#,
            ),
            _ if path.contains("/projects") => Reply::json(201, r#"{"project":{"id":"p1","name":"n","is_default":false}}"#),
            _ => Reply::json(204, ""),
        }
    })
    .await;
    let client = peer.client(Purpose::Provisioning);
    make_every_change(&client).await;
    let got: Vec<String> = peer
        .seen()
        .iter()
        .map(|seen| format!("{} {}", seen.line.replace("/v2", ""), seen.body).trim_end().to_owned())
        .collect();
    assert_eq!(
        got,
        [
            r#"POST /droplets {"name":"web-1","size":"s-1vcpu-1gb","image":4711,"backups":false,"ipv6":false,"monitoring":false}"#,
            r#"POST /droplets/7/actions {"name":"arcadia-snap","type":"snapshot"}"#,
            r#"POST /droplets/7/actions {"type":"power_off"}"#,
            r#"POST /droplets/7/actions {"type":"power_on"}"#,
            r#"POST /droplets/7/actions {"disk":false,"size":"s-2","type":"resize"}"#,
            r#"POST /droplets/7/actions {"disk":true,"size":"s-2","type":"resize"}"#,
            r#"POST /droplets/7/actions {"name":"web-2","type":"rename"}"#,
            r#"POST /domains/example.com/records {"type":"CNAME","name":"www","data":"example.com."}"#,
            "DELETE /domains/example.com/records/5",
            r#"POST /tags {"name":"t"}"#,
            r#"POST /tags/t/resources {"resources":[{"resource_id":"7","resource_type":"droplet"}]}"#,
            r#"DELETE /tags/t/resources {"resources":[{"resource_id":"7","resource_type":"droplet"}]}"#,
            r#"POST /projects {"name":"n","purpose":"Web"}"#,
            r#"PATCH /projects/p1 {"description":"d"}"#,
            r#"POST /projects/p1/resources {"resources":["do:droplet:7","do:floatingip:203.0.113.9"]}"#,
            "DELETE /projects/p1",
            "DELETE /snapshots/6372321",
            "DELETE /droplets/7",
        ]
    );
}

async fn make_every_change(client: &Client) {
    client.create_droplet(&order()).await.unwrap();
    let action = client.snapshot_droplet(7, "arcadia-snap").await.unwrap();
    assert_eq!((action.id, action.resource_id, action.is_completed()), (3_447_070_041, Some(7), false));
    client.power_off_droplet(7).await.unwrap();
    client.power_on_droplet(7).await.unwrap();
    client.resize_droplet(7, "s-2", Resize::Reversible).await.unwrap();
    client.resize_droplet(7, "s-2", Resize::WithDisk).await.unwrap();
    client.rename_droplet(7, "web-2").await.unwrap();
    let record = NewDnsRecord::new("CNAME", "www", "example.com");
    client.create_dns_record("example.com", &record).await.unwrap();
    client.delete_dns_record("example.com", 5).await.unwrap();
    let tag = TagName::parse("t").unwrap();
    client.create_tag(&tag).await.unwrap();
    client.tag_resources(&tag, &[TagTarget::Droplet(7)]).await.unwrap();
    client.untag_resources(&tag, &[TagTarget::Droplet(7)]).await.unwrap();
    let project =
        NewProject { name: "n".into(), purpose: "Web".into(), description: None, environment: None };
    client.create_project(&project).await.unwrap();
    let patch = ProjectPatch { description: Some("d".into()), ..ProjectPatch::default() };
    client.patch_project("p1", &patch).await.unwrap();
    let urns = [Urn::new("droplet", "7"), Urn::new("reservedip", "203.0.113.9")];
    let assigned = client.assign_resources("p1", &urns).await.unwrap();
    assert_eq!(assigned.iter().map(|one| one.took_effect()).collect::<Vec<_>>(), [true, false]);
    client.delete_project("p1").await.unwrap();
    client.delete_snapshot("6372321").await.unwrap();
    client.delete_droplet(7).await.unwrap();
}
