//! Our client against the simulator and, where a token is set, against the real service: the same questions.
//! `DO_API_TOKEN` and `DIGITALOCEAN_URL` (default `https://api.digitalocean.com`) name the real one; nothing is
//! changed there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use digitalocean::{
    Client, DropletOrder, Error, ImageRef, NewDnsRecord, Pages, Purpose, RecordFilter, Settings,
    SnapshotSource, TagName, TagTarget, Urn, rows::Row,
};
use serde_json::Value;
use test_support::{Provider, eventually, provider::TOKEN};

fn client(url: &str, token: String, purpose: Purpose) -> Client {
    let base = url.parse().expect("a URL");
    Client::new(Settings::new(base, token.into(), purpose)).expect("good settings")
}

async fn simulator(more: &[&str]) -> Provider {
    Provider::start_with(&[&["--demo", "--burst-per-minute", "0", "--per-hour", "0"], more].concat()).await
}

/// Walks a listing to its end; the walk agrees with what the provider counted.
async fn whole<T: Row>(name: &str, pages: Pages<T>) -> Vec<T> {
    let (items, walk) = pages.all().await.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(walk.complete && walk.agrees(), "{name}: {walk:?}");
    println!("{name}: {} rows", items.len());
    items
}

/// As [`whole`], of rows with ids: they are there and unique.
async fn walk<T: Row, I: Display>(name: &str, pages: Pages<T>, id: impl Fn(&T) -> I) -> Vec<T> {
    let items = whole(name, pages).await;
    let ids: BTreeSet<String> = items.iter().map(|item| id(item).to_string()).collect();
    assert_eq!(ids.len(), items.len(), "{name} shows an id twice");
    assert!(!ids.contains(""), "{name} shows a row without an id");
    items
}

/// How many rows there were, by where the simulator's state has them.
type Counts = BTreeMap<String, usize>;

/// Everything that can be read.
async fn read_everything(client: &Client) -> Counts {
    assert!(!client.account().await.expect("the account").uuid.is_empty());
    let mut counts = Counts::new();
    let mut count = |place: &str, rows: usize| *counts.entry(place.to_owned()).or_default() += rows;

    let mut droplets = walk("droplets", client.droplets(), |row| row.id).await;
    droplets.extend(walk("GPU droplets", client.gpu_droplets(), |row| row.id).await);
    count("/droplets", droplets.len());
    for droplet in &droplets {
        assert_eq!(client.droplet(droplet.id).await.expect("a listed droplet").id, droplet.id);
        let backups = walk("backups", client.droplet_backups(droplet.id), |row| row.id).await;
        count("/backups", backups.len());
        walk("snapshots of a droplet", client.droplet_snapshots(droplet.id), |row| row.id).await;
        let actions = walk("actions of a droplet", client.droplet_actions(droplet.id), |row| row.id).await;
        if let Some(action) = actions.first() {
            assert_eq!(client.action(action.id).await.expect("a listed action").id, action.id);
        }
    }
    for domain in walk("domains", client.domains(), |row| row.name.to_string()).await {
        count("/domains", 1);
        assert_eq!(client.domain(&domain.name).await.expect("a listed domain").name, domain.name);
        let records = client.dns_records(&domain.name, RecordFilter::default());
        count(&format!("/records/{}", domain.name), walk("records", records, |row| row.id).await.len());
    }
    for source in [SnapshotSource::Droplets, SnapshotSource::Volumes] {
        for snapshot in walk("snapshots", client.snapshots(source), |row| row.id.to_string()).await {
            count("/snapshots", 1);
            assert_eq!(client.snapshot(&snapshot.id).await.expect("a listed snapshot").id, snapshot.id);
        }
    }
    let all = walk("all snapshots", client.snapshots(SnapshotSource::All), |row| row.id.to_string()).await;
    for project in walk("projects", client.projects(), |row| row.id.to_string()).await {
        count("/projects", 1);
        assert_eq!(client.project(&project.id).await.expect("a listed project").id, project.id);
        let resources = client.project_resources(&project.id);
        walk("resources of a project", resources, |row| row.urn.to_string()).await;
    }
    let volumes = walk("volumes", client.volumes(), |row| row.id.to_string()).await;
    count("/volumes", volumes.len());
    let addresses = walk("reserved addresses", client.reserved_ips(), |row| row.ip.to_string()).await;
    count("/floating_ips", addresses.len());
    let firewalls = walk("firewalls", client.firewalls(), |row| row.id.to_string()).await;
    count("/firewalls", firewalls.len());
    let balancers = walk("load balancers", client.load_balancers(), |row| row.id.to_string()).await;
    count("/load_balancers", balancers.len());
    let databases = walk("databases", client.databases(), |row| row.id.to_string()).await;
    count("/databases", databases.len());
    let clusters = walk("kubernetes clusters", client.kubernetes_clusters(), |row| row.id.to_string()).await;
    count("/kubernetes_clusters", clusters.len());
    count("/apps", walk("apps", client.apps(), |row| row.id.to_string()).await.len());
    count("/tags", walk("tags", client.tags(), |row| row.name.to_string()).await.len());
    count("/invoices", read_bills(client).await);
    assert!(!walk("regions", client.regions(), |row| row.slug.to_string()).await.is_empty());
    assert!(!walk("sizes", client.sizes(), |row| row.slug.to_string()).await.is_empty());

    assert_eq!(counts["/snapshots"], all.len(), "a snapshot is neither of a droplet nor of a volume");
    counts
}

/// Everything about money. Returns how many invoices there are.
async fn read_bills(client: &Client) -> usize {
    client.balance().await.expect("the balance");
    whole("billing history", client.billing_history()).await;
    if let Some(preview) = client.invoice_preview().await.expect("the running month") {
        assert!(!preview.invoice_period.is_empty());
    }
    let invoices = walk("invoices", client.invoices(), |row| row.invoice_uuid.to_string()).await;
    for invoice in &invoices {
        let summary = client.invoice_summary(&invoice.invoice_uuid).await.expect("a summary");
        assert_eq!(summary.invoice_uuid, invoice.invoice_uuid);
        let items = whole("items of an invoice", client.invoice_items(&invoice.invoice_uuid)).await;
        let csv = client.invoice_csv(&invoice.invoice_uuid).await.expect("a CSV");
        assert!(items.is_empty() || csv.lines().count() > 1, "an invoice's CSV has no lines");
    }
    invoices.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulator_is_read_whole() {
    let provider = simulator(&[]).await;
    let counts = read_everything(&client(&provider.url, TOKEN.to_owned(), Purpose::SyncFull)).await;
    let state = provider.state().await;
    for (place, count) in counts {
        let known = state.pointer(&place).and_then(Value::as_array).map_or(0, Vec::len);
        assert_eq!(count, known, "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_service_is_read_whole_where_a_token_is_set() {
    let Some(token) = std::env::var("DO_API_TOKEN").ok().filter(|token| !token.is_empty()) else {
        println!("DO_API_TOKEN is not set: the real service was not asked");
        return;
    };
    let url = std::env::var("DIGITALOCEAN_URL").unwrap_or_else(|_| "https://api.digitalocean.com".to_owned());
    read_everything(&client(&url, token, Purpose::SyncFull)).await;
}

/// The simulator's account when nothing is about to happen, but for what only ever grows: the trail of actions, the
/// ids given out, the serial numbers of zones, the time.
async fn settled(provider: &Provider) -> Value {
    let mut state = eventually("nothing is pending", async || {
        let state = provider.state().await;
        if state["pending"] == serde_json::json!([]) { Ok(state) } else { Err(state["pending"].clone()) }
    })
    .await;
    for growing in ["actions", "ids", "now"] {
        assert!(state.as_object_mut().expect("an object").remove(growing).is_some(), "{growing}");
    }
    for zone in state["domains"].as_array_mut().expect("a list") {
        zone.as_object_mut().expect("an object").remove("_edits");
    }
    state
}

async fn completed(client: &Client, action: i64) {
    eventually("the action is completed", async || {
        let action = client.action(action).await.map_err(|error| error.to_string())?;
        if action.is_completed() { Ok(()) } else { Err(action.status.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_at_the_simulator_can_be_taken_away_without_a_trace() {
    let provider = simulator(&["--time-scale", "100"]).await;
    let client = client(&provider.url, TOKEN.to_owned(), Purpose::Provisioning);
    let before = settled(&provider).await;

    let tag = TagName::parse("arcadia:contract").expect("a tag");
    assert_eq!(client.create_tag(&tag).await.expect("a new tag").name, tag.as_str());
    let image = ImageRef::Slug("debian-12-x64".into());
    let created = client.create_droplet(&DropletOrder::new("contract-1", "s-1vcpu-1gb", image)).await;
    let created = created.expect("a new droplet");
    completed(&client, created.action_id.expect("a create names its action")).await;
    let droplet = client.droplet(created.id).await.expect("the new droplet");
    assert_eq!((droplet.name.as_str(), droplet.status.as_str()), ("contract-1", "active"));
    let address = droplet.public_v4().expect("an active droplet has an address").to_owned();

    client.tag_resources(&tag, &[TagTarget::Droplet(created.id)]).await.expect("tagged");
    let tagged = walk("tagged droplets", client.droplets_tagged(&tag), |row| row.id).await;
    assert_eq!(tagged.iter().map(|row| row.id).collect::<Vec<_>>(), [created.id]);
    client.untag_resources(&tag, &[TagTarget::Droplet(created.id)]).await.expect("untagged");
    assert!(walk("tagged droplets", client.droplets_tagged(&tag), |row| row.id).await.is_empty());

    let projects = walk("projects", client.projects(), |row| row.id.to_string()).await;
    let project = projects.iter().find(|project| !project.is_default).expect("the demo has several projects");
    let urn = Urn::new("droplet", created.id.to_string());
    let assigned = client.assign_resources(&project.id, std::slice::from_ref(&urn)).await.expect("assigned");
    assert!(assigned.len() == 1 && assigned[0].took_effect(), "{assigned:?}");
    let members = walk("resources", client.project_resources(&project.id), |row| row.urn.to_string()).await;
    let named = urn.to_string();
    assert!(members.iter().any(|member| member.urn.to_string() == named), "{members:?}");

    let snapshot = client.snapshot_droplet(created.id, "contract-1-final").await.expect("a snapshot begins");
    completed(&client, snapshot.id).await;
    let of_droplet = eventually("the snapshot is listed", async || {
        let listed = walk("snapshots", client.droplet_snapshots(created.id), |row| row.id).await;
        listed.into_iter().next().ok_or("not yet")
    })
    .await;
    let snapshot = client.snapshot(&of_droplet.id.to_string()).await.expect("the new snapshot");
    assert_eq!(snapshot.resource_id.as_str(), created.id.to_string());

    records_come_and_go(&client, &address).await;

    client.delete_snapshot(&snapshot.id).await.expect("the snapshot goes");
    assert!(matches!(client.snapshot(&snapshot.id).await, Err(Error::NotFound { .. })));
    client.delete_droplet(created.id).await.expect("the droplet goes");
    eventually("the droplet is gone", async || match client.droplet(created.id).await {
        Err(Error::NotFound { .. }) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    // Tags cost nothing and our client never deletes one.
    provider.control("DELETE", &format!("/sim/tags/{tag}"), None).await;
    let after = settled(&provider).await;
    for (kind, rows) in before.as_object().expect("an object") {
        assert_eq!(after[kind], *rows, "{kind} is not as it was");
    }
}

/// A record is looked for, made, found, changed and deleted.
async fn records_come_and_go(client: &Client, address: &str) {
    let zone = "acme.example";
    let named = RecordFilter { kind: Some("A"), fqdn: Some("contract.acme.example") };
    let found = async || walk("records", client.dns_records(zone, named), |row| row.id).await;
    assert!(found().await.is_empty());
    let mut record = NewDnsRecord::new("A", "contract", address);
    record.ttl = Some(60);
    let made = client.create_dns_record(zone, &record).await.expect("a new record");
    let rows = found().await;
    assert_eq!(
        rows.iter().map(|row| (row.id, row.data.as_str(), row.ttl)).collect::<Vec<_>>(),
        [(made.id, address, Some(60))]
    );
    record.data = "203.0.113.9".to_owned();
    client.update_dns_record(zone, made.id, &record).await.expect("a changed record");
    let rows = found().await;
    assert_eq!(
        rows.iter().map(|row| (row.id, row.data.as_str())).collect::<Vec<_>>(),
        [(made.id, "203.0.113.9")]
    );
    client.delete_dns_record(zone, made.id).await.expect("the record goes");
    assert!(matches!(client.delete_dns_record(zone, made.id).await, Err(Error::NotFound { .. })));
    assert!(found().await.is_empty());
}
