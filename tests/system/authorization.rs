//! Every operation of the OpenAPI document × every kind of caller × every kind of target, with the answer each
//! must get. The table is generated, the rule below is written by hand, and an operation missing from either
//! fails.

use std::collections::BTreeSet;

use contracts::Service;
use expect_test::expect_file;
use gateway_api::operation::{Content, Operation, PathKind, Role};
use reqwest::Method;
use serde_json::{Value, json};
use test_support::tokens;

use crate::story::Story;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Principal {
    None,
    Garbage,
    Expired,
    WrongAudience,
    Refresh,
    TenantA,
    TenantB,
    LookAlike,
    LlmGateway,
    Operator,
}

impl Principal {
    const ALL: [Self; 10] = [
        Self::None,
        Self::Garbage,
        Self::Expired,
        Self::WrongAudience,
        Self::Refresh,
        Self::TenantA,
        Self::TenantB,
        Self::LookAlike,
        Self::LlmGateway,
        Self::Operator,
    ];

    fn token(self) -> Option<String> {
        let spoilt = |field: &str, value: Value| {
            let mut claims = tokens::claims("acme", &["platform-admin"]);
            claims[field] = value;
            Some(tokens::sign(&claims))
        };
        let past = chrono::Utc::now().timestamp() - 60;
        match self {
            Self::None => None,
            Self::Garbage => Some("not.a.token".to_owned()),
            Self::Expired => spoilt("exp", json!(past)),
            Self::WrongAudience => spoilt("aud", json!("arcadia-finance")),
            Self::Refresh => spoilt("typ", json!("refresh")),
            Self::TenantA => Some(tokens::tenant("acme")),
            Self::TenantB => Some(tokens::tenant("globex")),
            Self::LookAlike => {
                let roles = ["platform_admin", "llm_gateway", "Platform-Admin", "LLM-Gateway"];
                Some(tokens::sign(&tokens::claims("platform-admin", &roles)))
            }
            Self::LlmGateway => Some(tokens::llm_gateway()),
            Self::Operator => Some(tokens::operator()),
        }
    }

    fn is_known(self) -> bool {
        matches!(self, Self::TenantA | Self::TenantB | Self::LookAlike | Self::LlmGateway | Self::Operator)
    }
}

/// What the parameters of a path are made to name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// The path has no parameters.
    Whole,
    OfTenantA,
    OfTenantB,
    Absent,
    Malformed,
}

struct Ids {
    resource: [String; 2],
    project: [String; 2],
    parked: [String; 2],
    deployment: [String; 2],
    /// Drafts.
    version: [String; 2],
    /// Complete.
    day: [String; 2],
}

/// Of whose catalog there is only one.
const PLANS: [&str; 2] = ["studio", "starter"];

fn path(operation: &Operation, target: Target, ids: &Ids) -> String {
    let mut path = operation.path.to_owned();
    for (name, kind) in &operation.path_parameters {
        let existing = match target {
            Target::OfTenantB => 1,
            _ => 0,
        };
        let value = match (kind, target) {
            (PathKind::Listing, Target::Absent | Target::Malformed) => "nothing".to_owned(),
            (PathKind::Listing, _) => "volumes".to_owned(),
            // Where a message is named too, the service is right and the message is not.
            (PathKind::Owner, Target::Absent | Target::Malformed) if operation.path_parameters.len() == 1 => {
                "nobody".to_owned()
            }
            (PathKind::Owner, _) => "syncer".to_owned(),
            (PathKind::Plan | PathKind::BillingKind, Target::Malformed) => "No-Such".to_owned(),
            (PathKind::Plan | PathKind::BillingKind, Target::Absent) => "no_such".to_owned(),
            (PathKind::Plan, _) => PLANS[existing].to_owned(),
            (PathKind::BillingKind, _) => ["droplet_hours", "snapshot_gb_month"][existing].to_owned(),
            (PathKind::Day, Target::Absent | Target::Malformed) => "2026-02-30".to_owned(),
            (PathKind::Day, _) => ids.day[existing].clone(),
            (_, Target::Absent) => "0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d".to_owned(),
            (_, Target::Malformed) => "0191E4A0-7C3B-7D52-9C0E-2F6F3A1B4C5D".to_owned(),
            (PathKind::Resource, _) => ids.resource[existing].clone(),
            (PathKind::Project, _) => ids.project[existing].clone(),
            (PathKind::Parked, _) => ids.parked[existing].clone(),
            (PathKind::Deployment, _) => ids.deployment[existing].clone(),
            (PathKind::PlanVersion, _) => ids.version[existing].clone(),
        };
        path = path.replace(&format!("{{{name}}}"), &value);
    }
    path
}

/// The rule: what a caller must get, before what the operation itself makes of it.
fn expected(operation: &Operation, principal: Principal, target: Target) -> u16 {
    if operation.role == Role::Public {
        return 200;
    }
    if !principal.is_known() {
        return 401;
    }
    let admitted = match operation.role {
        Role::Public | Role::Tenant => true,
        Role::Operator => principal == Principal::Operator,
        Role::UsageProducer => matches!(principal, Principal::Operator | Principal::LlmGateway),
    };
    if !admitted {
        return 403;
    }
    let own = match principal {
        Principal::Operator => true,
        // What is sold is the same for everyone.
        _ if operation.id == "get_plan" => true,
        Principal::TenantA => target == Target::OfTenantA,
        Principal::TenantB => target == Target::OfTenantB,
        _ => false,
    };
    let success = operation.success.as_u16();
    match target {
        // Operators own nothing: they have to say whose a deployment is to be.
        Target::Whole if operation.id == "create_deployment" && principal == Principal::Operator => 422,
        Target::Whole => success,
        Target::Absent | Target::Malformed => 404,
        Target::OfTenantA | Target::OfTenantB if !own => 404,
        Target::OfTenantA | Target::OfTenantB => match operation.id {
            // A droplet is its project's, and no listing is held.
            "classify_resource" => 422,
            "confirm_listing" => 409,
            // There is no such deployment, and no such plan version.
            "link_resource" | "migrate_deployment" => 422,
            // Its tenant has paused it a moment ago.
            "transition_deployment" if principal == Principal::Operator => 422,
            // It has a subscription.
            "subscribe_deployment" => 409,
            _ => success,
        },
    }
}

/// A catalog with what the samples of the document name, and a draft of each of its plans.
async fn prepare_catalog(story: &Story) -> [String; 2] {
    let mut drafts = Vec::new();
    for code in PLANS {
        let plans = "/api/v1/catalog/plans";
        story.post(plans, &json!({ "code": code, "name": code })).await;
        let item = json!({
            "resource_kind": "droplet_hours", "included_qty": 1488, "overage_unit": "hour", "overage_price_cents": 1
        });
        let version = json!({ "base_price_cents": 5000, "currency": "AUD", "items": [item] });
        for publish in [true, false] {
            let draft = story.post(&format!("{plans}/{code}/versions"), &version).await;
            let id = draft["id"].as_str().unwrap().to_owned();
            if publish {
                story.post(&format!("/api/v1/catalog/versions/{id}/publish"), &json!({})).await;
            } else {
                drafts.push(id);
            }
        }
    }
    let addon = json!({
        "code": "storage_50gb", "name": "50 GB of storage", "resource_kind": "spaces_gb_month", "qty": "50",
        "price_cents": 750, "currency": "AUD"
    });
    story.post("/api/v1/catalog/addons", &addon).await;
    drafts.try_into().unwrap()
}

async fn prepare_deployment(story: &Story, tenant: &str) -> String {
    let deployment = json!({
        "tenant_id": tenant, "slug": "prepared", "display_name": "Prepared", "region": "syd1", "plan_code": "studio"
    });
    let created = story.post("/api/v1/deployments", &deployment).await;
    created["id"].as_str().unwrap().to_owned()
}

async fn prepare(story: &Story) -> Ids {
    for listing in ["droplets", "volumes", "projects"] {
        story.sync(listing).await;
    }
    let projects = story.get("/api/v1/projects").await.body;
    let find = |name: &str| {
        let items = projects["items"].as_array().unwrap();
        items.iter().find(|project| project["name"] == name).unwrap_or_else(|| panic!("{projects}")).clone()
    };
    let mut project = Vec::new();
    let mut resource = Vec::new();
    let droplets = story.resources("&kind=droplet").await;
    for (index, (name, tenant)) in [("acme-prod", "acme"), ("globex-prod", "globex")].into_iter().enumerate()
    {
        let found = find(name);
        let id = found["id"].as_str().unwrap().to_owned();
        let urn = format!("do:droplet:{}", droplets[index]["provider_id"].as_str().unwrap());
        let at_provider = found["provider_id"].as_str().unwrap();
        let path = format!("/sim/projects/{at_provider}/resources");
        story.provider.control("POST", &path, Some(&json!({ "resources": [urn] }))).await;
        story.post(&format!("/api/v1/projects/{id}/classify"), &json!({ "tenant_id": tenant })).await;
        project.push(id);
        resource.push(droplets[index]["id"].as_str().unwrap().to_owned());
    }
    story.sync("projects").await;
    // Two messages that syncer could not handle.
    let mut superuser = story.world.superuser(Service::Syncer).await;
    let parked: Vec<String> = sqlx::query_scalar(
        "insert into parked (id, consumer, message_key, subject, headers, payload, reason, deliveries)
         select gen_random_uuid(), 'syncer-volumes-sync', key, 'job.syncer.volumes.sync.v1', '{}', '{}', 'a test', 1
         from unnest(array['a', 'b']) key returning id::text",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    let pair = |ids: Vec<String>| <[String; 2]>::try_from(ids).unwrap();
    let today = chrono::Utc::now().date_naive();
    Ids {
        resource: pair(resource),
        project: pair(project),
        parked: pair(parked),
        version: prepare_catalog(story).await,
        deployment: [prepare_deployment(story, "acme").await, prepare_deployment(story, "globex").await],
        day: [1, 2].map(|days| (today - chrono::Days::new(days)).to_string()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_caller_gets_what_the_table_says() {
    let account = json!({ "droplets": 5, "volumes": 1, "projects": ["acme-prod", "globex-prod"] });
    let story = Story::begin(&account).await;
    let ids = prepare(&story).await;
    let operations = gateway_api::operations::operations();

    let document = gateway_api::openapi::document();
    let documented: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys().filter(|key| *key != "parameters");
            methods.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
        })
        .collect();
    let known: BTreeSet<(String, String)> =
        operations.iter().map(|o| (o.method.to_string(), o.path.to_owned())).collect();
    assert_eq!(documented, known);

    let mut table = String::from(
        "# What every caller gets. UPDATE_EXPECT=1 cargo test -p arcadia-tests --test system authorization\n",
    );
    let mut wrong = Vec::new();
    for operation in operations {
        let targets: &[Target] = if operation.path_parameters.is_empty() {
            &[Target::Whole]
        } else {
            &[Target::Malformed, Target::Absent, Target::OfTenantB, Target::OfTenantA]
        };
        for target in targets {
            let path = path(operation, *target, &ids);
            let mut line = format!("\n{} {} {target:?}\n ", operation.method, operation.path);
            let mut refusals = BTreeSet::new();
            for principal in Principal::ALL {
                let (status, body) = ask(&story, operation, &path, principal).await;
                line.push_str(&format!(" {principal:?}={status}"));
                // A message that an operator settled a moment ago is settled.
                let settled = status == 409 && operation.id.ends_with("_parked");
                if status != expected(operation, principal, *target) && !settled {
                    wrong.push(format!("{} {path} {principal:?}: {status} {body}", operation.method));
                }
                if status == 401 {
                    refusals.insert(body);
                }
            }
            assert!(refusals.len() <= 1, "a 401 tells why: {refusals:?}");
            table.push_str(&line);
            table.push('\n');
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    expect_file!["authorization.txt"].assert_eq(&table);
}

/// The status, and the body of an error without the request's id.
async fn ask(story: &Story, operation: &Operation, path: &str, principal: Principal) -> (u16, String) {
    let method = Method::from_bytes(operation.method.as_str().as_bytes()).unwrap();
    let body = operation.body.map(|body| serde_json::from_str::<Value>(body.sample).unwrap());
    let token = principal.token();
    if matches!(operation.content, Content::EventStream) {
        let mut request = reqwest::Client::new().request(method, format!("{}{path}", story.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        // A stream that is read to its end would not end.
        let text = if status == 200 { String::new() } else { answer.text().await.unwrap() };
        return (status, strip(serde_json::from_str(&text).unwrap_or_default()));
    }
    let answer = story.send(method, path, token.as_deref(), body.as_ref()).await;
    let status = answer.status.as_u16();
    if !answer.status.is_success() {
        let media = answer.headers.get("content-type").unwrap().to_str().unwrap();
        assert_eq!(media, "application/problem+json", "{path}");
    }
    (status, strip(answer.body))
}

fn strip(mut body: Value) -> String {
    if let Some(fields) = body.as_object_mut() {
        fields.remove("instance");
    }
    body.to_string()
}
