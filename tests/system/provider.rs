//! Our client against the simulator and, where a token is set, against the real service: the same questions.
//! `DO_API_TOKEN` and `DIGITALOCEAN_URL` (default `https://api.digitalocean.com`) name the real one; nothing is
//! changed there.

use std::{collections::BTreeSet, fmt::Display};

use digitalocean::{Client, Purpose, RecordFilter, Settings, SnapshotSource};
use serde_json::Value;
use test_support::{Provider, provider::TOKEN};

fn client(url: &str, token: String) -> Client {
    let base = url.parse().expect("a URL");
    Client::new(Settings::new(base, token.into(), Purpose::SyncFull)).expect("good settings")
}

/// Walks a listing to its end; ids are there and unique, and the walk agrees with what the provider counted.
async fn walk<T, I: Display>(name: &str, pages: digitalocean::Pages<T>, id: impl Fn(&T) -> I) -> Vec<T>
where
    T: digitalocean::rows::Row,
{
    let (items, walk) = pages.all().await.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(walk.complete && walk.agrees(), "{name}: {walk:?}");
    let ids: BTreeSet<String> = items.iter().map(|item| id(item).to_string()).collect();
    assert_eq!(ids.len(), items.len(), "{name} shows an id twice");
    assert!(!ids.contains(""), "{name} shows a row without an id");
    println!("{name}: {} rows", items.len());
    items
}

/// Everything that can be read. Returns how many rows each listing had.
async fn read_everything(client: &Client) -> Vec<(&'static str, usize)> {
    let account = client.account().await.expect("the account");
    assert!(!account.uuid.is_empty());
    let droplets = walk("droplets", client.droplets(), |row| row.id).await;
    walk("GPU droplets", client.gpu_droplets(), |row| row.id).await;
    for droplet in droplets.iter().take(20) {
        walk("backups", client.droplet_backups(droplet.id), |row| row.id).await;
        walk("snapshots of a droplet", client.droplet_snapshots(droplet.id), |row| row.id).await;
        assert_eq!(client.droplet(droplet.id).await.expect("a listed droplet can be read").id, droplet.id);
    }
    let domains = walk("domains", client.domains(), |row| row.name.to_string()).await;
    for domain in &domains {
        walk("records", client.dns_records(&domain.name, RecordFilter::default()), |row| row.id).await;
    }
    let volumes = walk("volumes", client.volumes(), |row| row.id.to_string()).await;
    let mut snapshots =
        walk("droplet snapshots", client.snapshots(SnapshotSource::Droplets), |row| row.id.to_string()).await;
    snapshots.extend(
        walk("volume snapshots", client.snapshots(SnapshotSource::Volumes), |row| row.id.to_string()).await,
    );
    let addresses = walk("reserved addresses", client.reserved_ips(), |row| row.ip.to_string()).await;
    let firewalls = walk("firewalls", client.firewalls(), |row| row.id.to_string()).await;
    let balancers = walk("load balancers", client.load_balancers(), |row| row.id.to_string()).await;
    let databases = walk("databases", client.databases(), |row| row.id.to_string()).await;
    let clusters = walk("kubernetes clusters", client.kubernetes_clusters(), |row| row.id.to_string()).await;
    let projects = walk("projects", client.projects(), |row| row.id.to_string()).await;
    for project in &projects {
        walk("resources of a project", client.project_resources(&project.id), |row| row.urn.to_string())
            .await;
    }
    walk("tags", client.tags(), |row| row.name.to_string()).await;
    assert!(!walk("regions", client.regions(), |row| row.slug.to_string()).await.is_empty());
    assert!(!walk("sizes", client.sizes(), |row| row.slug.to_string()).await.is_empty());
    client.balance().await.expect("the balance");
    client.billing_history().all().await.expect("the billing history");
    for invoice in
        walk("invoices", client.invoices(), |row| row.invoice_uuid.to_string()).await.iter().take(3)
    {
        client.invoice_summary(&invoice.invoice_uuid).await.expect("a summary");
        client.invoice_items(&invoice.invoice_uuid).all().await.expect("items");
        let csv = client.invoice_csv(&invoice.invoice_uuid).await.expect("a CSV");
        assert!(csv.starts_with("product,"), "{}", csv.lines().next().unwrap_or_default());
    }
    vec![
        ("droplets", droplets.len()),
        ("domains", domains.len()),
        ("volumes", volumes.len()),
        ("snapshots", snapshots.len()),
        ("floating_ips", addresses.len()),
        ("firewalls", firewalls.len()),
        ("load_balancers", balancers.len()),
        ("databases", databases.len()),
        ("kubernetes_clusters", clusters.len()),
        ("projects", projects.len()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulator_is_read_whole() {
    let provider = Provider::start_with(&["--demo", "--burst-per-minute", "0", "--per-hour", "0"]).await;
    let counts = read_everything(&client(&provider.url, TOKEN.to_owned())).await;
    let state = provider.state().await;
    for (kind, count) in counts {
        let known =
            state[kind].as_array().map(Vec::len).or_else(|| state[kind].as_object().map(|rows| rows.len()));
        assert_eq!(Some(count), known, "{kind}: {}", state.get(kind).unwrap_or(&Value::Null));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_service_is_read_whole_where_a_token_is_set() {
    let Some(token) = std::env::var("DO_API_TOKEN").ok().filter(|token| !token.is_empty()) else {
        println!("DO_API_TOKEN is not set: the real service was not asked");
        return;
    };
    let url = std::env::var("DIGITALOCEAN_URL").unwrap_or_else(|_| "https://api.digitalocean.com".to_owned());
    read_everything(&client(&url, token)).await;
}
