//! Every documented operation is called, and every answer is held against its schema.

use std::collections::{BTreeMap, BTreeSet};

use digitalocean_sim::{OPERATIONS, Options};
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::{Value, json};

use crate::harness::Harness;
use crate::schema::Published;

/// Where the simulator differs from the schema on purpose, because the real service does. The place is
/// the end of a path into the answer, `*` being an index. One that no answer needs fails the test.
const DEVIATIONS: [(&str, &str); 10] = [
    ("/image/distribution", "the enum lacks distributions that are offered"),
    ("/image/regions/*", "the enum lacks regions that exist"),
    ("/images/*/distribution", "as in a droplet's image"),
    ("/images/*/regions/*", "as in a droplet's image"),
    ("/links/actions/*/href", "live answers give a path where the schema has a URI"),
    ("/networks/v4/*/gateway", "a private address has no gateway, and live answers say null"),
    ("/environment", "projects made without an environment show an empty text"),
    ("/resources/*/urn", "the pattern lacks apps, which the table beside it has"),
    ("/billing_history/*/invoice_id", "an entry that is no invoice may have null"),
    ("/billing_history/*/invoice_uuid", "an entry that is no invoice may have null"),
];

struct Contract {
    harness: Harness,
    published: Published,
    called: BTreeMap<String, BTreeSet<u16>>,
    found: Vec<(String, String)>,
}

impl Contract {
    /// Calls an operation and checks the answer; returns the body.
    async fn call(
        &mut self,
        operation: &str,
        params: &[&str],
        query: &str,
        body: Value,
        status: u16,
    ) -> Value {
        let documented = self.published.operations[operation].clone();
        let mut path = documented.path.clone();
        for param in params {
            let from = path.find('{').expect("as many variables as parameters");
            let to = path.find('}').expect("braces are paired");
            path.replace_range(from..=to, param);
        }
        let seen = self.harness.call(&documented.method, &format!("{path}{query}"), body).await;
        assert_eq!(seen.status, status, "{operation}: {}", seen.text);
        self.called.entry(operation.to_owned()).or_default().insert(status);
        for name in ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"] {
            assert!(seen.header(name).is_some(), "{operation}: no {name}");
        }
        match self.published.schema(operation, status) {
            None => assert!(
                seen.body.is_null() || seen.header("content-type") != Some("application/json"),
                "{operation}"
            ),
            Some(schema) => {
                for (at, error) in schema.iter_errors(&seen.body).flat_map(|error| reasons(&error)) {
                    self.found.push((place(&at), format!("{operation} {status}: {error}")));
                }
            }
        }
        seen.body
    }

    async fn get(&mut self, operation: &str, params: &[&str], query: &str) -> Value {
        self.call(operation, params, query, Value::Null, 200).await
    }
}

/// Where and why. Of alternatives that all fail, the one that comes closest says why.
fn reasons(error: &ValidationError<'_>) -> Vec<(String, String)> {
    match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => context
            .iter()
            .map(|branch| branch.iter().flat_map(reasons).collect::<Vec<_>>())
            .max_by_key(|reasons| reasons.iter().map(|(at, _)| at.matches('/').count()).min())
            .unwrap_or_default(),
        _ => vec![(error.instance_path().to_string(), error.to_string())],
    }
}

fn place(path: &str) -> String {
    let steps = path.split('/').map(|step| if step.parse::<usize>().is_ok() { "*" } else { step });
    steps.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_documented_operation_answers_as_documented() {
    let options = Options { demo: true, per_hour: 0, burst_per_minute: 0, ..Options::default() };
    let mut contract = Contract {
        harness: Harness::with(options).await,
        published: Published::load(),
        called: BTreeMap::new(),
        found: Vec::new(),
    };
    let gpu = json!({"name": "trainer", "size_slug": "gpu-h100x1-80gb"});
    contract.harness.control("POST", "/sim/droplets", gpu).await.expect(200);
    inventory(&mut contract).await;
    droplets(&mut contract).await;
    dns(&mut contract).await;
    projects(&mut contract).await;
    tags(&mut contract).await;
    billing(&mut contract).await;

    let uncalled: Vec<_> =
        contract.published.operations.keys().filter(|id| !contract.called.contains_key(*id)).collect();
    assert!(uncalled.is_empty(), "never called: {uncalled:?}");
    for id in contract.published.operations.keys() {
        assert!(OPERATIONS.iter().any(|operation| operation.id == id), "not simulated: {id}");
    }
    let excused = |place: &str| DEVIATIONS.iter().any(|(deviation, _)| place.ends_with(deviation));
    let violations: BTreeSet<_> = contract.found.iter().filter(|(place, _)| !excused(place)).collect();
    assert!(violations.is_empty(), "{violations:#?}");
    for (deviation, reason) in DEVIATIONS {
        let needed = contract.found.iter().any(|(place, _)| place.ends_with(deviation));
        assert!(needed, "no answer deviates at {deviation} ({reason})");
    }
}

async fn inventory(contract: &mut Contract) {
    for operation in [
        "account_get",
        "sshKeys_list",
        "regions_list",
        "sizes_list",
        "images_list",
        "vpcs_list",
        "spacesKey_list",
        "snapshots_list",
        "volumes_list",
        "floatingIPs_list",
        "reservedIPs_list",
        "firewalls_list",
        "loadBalancers_list",
        "databases_list_clusters",
        "kubernetes_list_clusters",
        "actions_list",
    ] {
        contract.get(operation, &[], "").await;
    }
    contract.get("images_list", &[], "?private=true").await;
    contract.get("apps_list", &[], "").await;
    let app = json!({"spec": {"name": "shop-front"}});
    contract.harness.control("POST", "/sim/apps", app).await.expect(200);
    contract.get("apps_list", &[], "").await;
    let volumes = contract.get("volumes_list", &[], "?per_page=2&page=2").await;
    let volume = volumes["volumes"][0]["id"].as_str().expect("an id").to_owned();
    contract.get("volumeSnapshots_list", &[&volume], "").await;
    contract.call("volumeSnapshots_list", &["none"], "", Value::Null, 404).await;
    let snapshots = contract.get("snapshots_list", &[], "?resource_type=volume").await;
    let snapshot = snapshots["snapshots"][0]["id"].as_str().expect("an id").to_owned();
    contract.get("snapshots_get", &[&snapshot], "").await;
    contract.call("snapshots_delete", &[&snapshot], "", Value::Null, 204).await;
    contract.call("snapshots_delete", &[&snapshot], "", Value::Null, 404).await;
    let backups = contract.get("droplets_list_backups", &["600000001"], "").await;
    let backup = backups["backups"][0]["id"].to_string();
    contract.call("snapshots_get", &[&backup], "", Value::Null, 400).await;
    contract.call("snapshots_delete", &[&backup], "", Value::Null, 400).await;
}

async fn droplets(contract: &mut Contract) {
    contract.get("droplets_list", &[], "").await;
    contract.get("droplets_list", &[], "?per_page=3&page=2").await;
    contract.get("droplets_list", &[], "?type=gpus").await;
    contract.get("droplets_list", &[], "?tag_name=web").await;
    contract.call("droplets_list", &[], "?tag_name=web&name=x", Value::Null, 422).await;
    contract.get("droplets_list_snapshots", &["600000001"], "").await;
    let order = json!({
        "name": "new.example.com", "region": "syd1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64",
        "ipv6": true, "tags": ["made"],
    });
    let born = contract.call("droplets_create", &[], "", order.clone(), 202).await;
    let id = born["droplet"]["id"].to_string();
    contract.get("droplets_get", &[&id], "").await;
    let mut several = order.clone();
    several["names"] = json!(["a1", "a2"]);
    contract.call("droplets_create", &[], "", several.clone(), 422).await;
    several.as_object_mut().expect("an object").remove("name");
    contract.call("droplets_create", &[], "", several, 202).await;
    contract.call("dropletActions_post", &[&id], "", json!({"type": "snapshot"}), 422).await;
    contract.harness.advance(60).await;
    contract.get("droplets_get", &[&id], "").await;
    let action =
        contract.call("dropletActions_post", &[&id], "", json!({"type": "snapshot", "name": "s"}), 201).await;
    let action = action["action"]["id"].to_string();
    contract.get("actions_get", &[&action], "").await;
    contract.get("dropletActions_get", &[&id, &action], "").await;
    contract.harness.advance(60).await;
    contract.get("actions_get", &[&action], "").await;
    contract.get("dropletActions_list", &[&id], "").await;
    contract.get("droplets_list_snapshots", &[&id], "").await;
    contract.call("actions_get", &["1"], "", Value::Null, 404).await;
    contract.call("dropletActions_post", &["1"], "", json!({"type": "reboot"}), 404).await;
    contract.call("droplets_destroy", &[&id], "", Value::Null, 204).await;
    contract.get("droplets_get", &[&id], "").await;
    contract.harness.advance(60).await;
    contract.call("droplets_get", &[&id], "", Value::Null, 404).await;
    contract.call("droplets_destroy", &[&id], "", Value::Null, 404).await;
    contract.call("droplets_destroy_byTag", &[], "?tag_name=made", Value::Null, 204).await;
    contract.harness.advance(60).await;
}

async fn dns(contract: &mut Contract) {
    let zone = "acme.example";
    contract.get("domains_list", &[], "").await;
    contract.get("domains_get", &[zone], "").await;
    contract.call("domains_get", &["none.example"], "", Value::Null, 404).await;
    contract.get("domains_list_records", &[zone], "").await;
    let record = json!({"type": "A", "name": "new", "data": "203.0.113.9", "ttl": 300});
    let made = contract.call("domains_create_record", &[zone], "", record, 201).await;
    let id = made["domain_record"]["id"].to_string();
    contract.get("domains_get_record", &[zone, &id], "").await;
    let change = json!({"type": "A", "data": "203.0.113.10"});
    contract.call("domains_update_record", &[zone, &id], "", change.clone(), 200).await;
    contract.call("domains_patch_record", &[zone, &id], "", change, 200).await;
    let dotless = json!({"type": "CNAME", "name": "c", "data": "example.com"});
    contract.call("domains_create_record", &[zone], "", dotless, 422).await;
    contract.call("domains_delete_record", &[zone, &id], "", Value::Null, 204).await;
    contract.call("domains_delete_record", &[zone, &id], "", Value::Null, 404).await;
    contract.call("domains_get_record", &[zone, &id], "", Value::Null, 404).await;
}

async fn projects(contract: &mut Contract) {
    contract.get("projects_list", &[], "").await;
    contract.get("projects_get_default", &[], "").await;
    contract.get("projects_list_resources_default", &[], "").await;
    let wanted = json!({"name": "skyai-internal", "purpose": "Operational / Developer tooling"});
    let made = contract.call("projects_create", &[], "", wanted.clone(), 201).await;
    contract.call("projects_create", &[], "", wanted, 409).await;
    let id = made["project"]["id"].as_str().expect("an id").to_owned();
    contract.get("projects_get", &[&id], "").await;
    let whole = json!({
        "name": "skyai-inner", "description": "ours", "purpose": "ours", "environment": "Staging",
        "is_default": false,
    });
    contract.call("projects_update", &[&id], "", whole, 200).await;
    contract.call("projects_patch", &[&id], "", json!({"description": ""}), 200).await;
    let moves = json!({"resources": ["do:droplet:600000006", "do:droplet:1"]});
    contract.call("projects_assign_resources", &[&id], "", moves.clone(), 200).await;
    contract.get("projects_list_resources", &[&id], "").await;
    contract.call("projects_delete", &[&id], "", Value::Null, 412).await;
    contract.call("projects_assign_resources_default", &[], "", moves, 200).await;
    contract.call("projects_assign_resources_default", &[], "", json!({"resources": ["x"]}), 400).await;
    contract.call("projects_delete", &[&id], "", Value::Null, 204).await;
    contract.call("projects_get", &[&id], "", Value::Null, 404).await;
}

async fn tags(contract: &mut Contract) {
    contract.get("tags_list", &[], "").await;
    contract.call("tags_create", &[], "", json!({"name": "fresh:tag"}), 201).await;
    contract.call("tags_create", &[], "", json!({"name": "not a tag"}), 400).await;
    let resources = json!({"resources": [{"resource_id": "1", "resource_type": "droplet"}]});
    contract.call("tags_assign_resources", &["fresh:tag"], "", resources.clone(), 204).await;
    contract.get("tags_get", &["fresh:tag"], "").await;
    contract.call("tags_unassign_resources", &["fresh:tag"], "", resources, 204).await;
    contract.call("tags_delete", &["fresh:tag"], "", Value::Null, 204).await;
    contract.call("tags_get", &["fresh:tag"], "", Value::Null, 404).await;
}

async fn billing(contract: &mut Contract) {
    contract.get("balance_get", &[], "").await;
    contract.get("billingHistory_list", &[], "").await;
    let invoices = contract.get("invoices_list", &[], "").await;
    let april = invoices["invoices"][0]["invoice_uuid"].as_str().expect("a uuid").to_owned();
    for uuid in [april.as_str(), "preview"] {
        contract.get("invoices_get_byUUID", &[uuid], "").await;
        contract.get("invoices_get_summaryByUUID", &[uuid], "").await;
        contract.get("invoices_get_csvByUUID", &[uuid], "").await;
        contract.get("invoices_get_pdfByUUID", &[uuid], "").await;
    }
    contract.call("invoices_get_csvByUUID", &["none"], "", Value::Null, 404).await;
    let team = "do:team:2b0a8a54-54c5-4b6f-9f0a-7a4fbb1a30d2";
    contract.get("billingInsights_list", &[team, "2026-04-01", "2026-04-30"], "").await;
}

#[tokio::test]
async fn refusals_fit_the_schema_too() {
    let published = Published::load();
    let harness = Harness::with(Options { per_hour: 1, ..Options::default() }).await;
    let stranger = harness.try_call_as(Some("ghp_x"), "GET", "/v2/account", &Value::Null).await.unwrap();
    assert_eq!(stranger.status, 401);
    harness.get("/v2/account").await.expect(200);
    let limited = harness.get("/v2/account").await;
    assert_eq!(limited.status, 429);
    for seen in [stranger, limited] {
        let schema = published.schema("account_get", seen.status).expect("a schema");
        assert!(schema.is_valid(&seen.body), "{}", seen.text);
    }
}
