//! Resources that an operator links to deployments.

use std::collections::BTreeMap;

use contracts::{
    Actor, Scope,
    biller::{Deployment, DeploymentState, LastDeployment, LlmMode},
    ids::{DeploymentId, ResourceId},
    syncer::{
        ClassifyProject, ClassifyResource, GetResource, LinkResource, Resource, SyncDnsZones, SyncDroplets,
        SyncProjects, SyncSnapshots,
    },
};
use expect_test::expect;
use messaging::{Handle, Outcome, Received};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::lab::{Lab, operator};

fn id(number: u128) -> DeploymentId {
    DeploymentId::from_uuid(Uuid::from_u128(number))
}

/// Tells syncer of a deployment, as the stream does.
async fn tell(lab: &Lab, number: u128, tenant: &str, state: DeploymentState, version: i64) {
    let deployment = Deployment {
        id: id(number),
        tenant_id: tenant.parse().unwrap(),
        slug: "app".parse().unwrap(),
        display_name: "App".to_owned(),
        region: "syd1".to_owned(),
        state,
        llm_mode: LlmMode::Gateway,
        billing_action_suspended: false,
        template_code: None,
        template_version: None,
        subscription: None,
        created_at: lab.syncer.clock.now(),
        version,
    };
    let received = Received {
        subject: String::new(),
        headers: BTreeMap::new(),
        body: Default::default(),
        key: String::new(),
        deliveries: 1,
        consumer: String::new(),
    };
    let mut tx = lab.syncer.pool.begin().await.unwrap();
    let handled = lab.syncer.handle(&mut tx, LastDeployment { deployment }, &received).await.unwrap();
    assert_eq!(handled, Outcome::Done);
    tx.commit().await.unwrap();
}

async fn link(lab: &Lab, name: &str, deployment: Option<u128>) -> Result<Resource, u16> {
    let resource = lab.resource_named(name).await;
    lab.execute(LinkResource { id: resource, deployment_id: deployment.map(id), actor: operator() }).await
}

async fn classify(lab: &Lab, project: &str, tenant: &str) {
    let (id, tenant_id) = (lab.project_named(project).await, Some(tenant.parse().unwrap()));
    lab.execute(ClassifyProject { id, tenant_id, purpose: None, actor: operator() }).await.unwrap();
}

/// Whose each resource is: project, tenant, deployment.
async fn shown(lab: &Lab) -> String {
    let rows = sqlx::query!(
        r#"select r.name, r.version, p.name as "project?", r.tenant_id, r.deployment_id
           from syncer.cloud_resources r left join syncer.cloud_projects p on p.id = r.cloud_project_id
           order by r.kind, r.name"#
    )
    .fetch_all(&mut lab.superuser().await)
    .await
    .unwrap();
    let or_none = |text: Option<String>| text.unwrap_or("-".to_owned());
    let lines = rows.into_iter().map(|row| {
        let deployment = or_none(row.deployment_id.map(|id| id.as_u128().to_string()));
        let (project, tenant) = (or_none(row.project), or_none(row.tenant_id));
        format!("{} v{} {project} {tenant} {deployment}", row.name, row.version)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn account() -> Value {
    json!({
        "projects": [{ "name": "shop" }, { "name": "blog" }],
        "droplets": [
            { "id": 1, "name": "web", "project": "shop" }, { "id": 2, "name": "worker", "project": "shop" },
        ],
        "snapshots": [{ "id": "501", "name": "of-web", "resource_type": "droplet", "resource_id": "1" }],
        "domains": [{ "name": "shop.example", "project": "shop" }],
    })
}

async fn sync_all(lab: &Lab) {
    lab.sync::<SyncDroplets>().await;
    lab.sync::<SyncSnapshots>().await;
    lab.sync::<SyncDnsZones>().await;
    lab.sync::<SyncProjects>().await;
}

/// A shop that is acme's, and deployments: 1 and 2 are globex's, 3 is over.
async fn started() -> Lab {
    let lab = Lab::start(account()).await;
    sync_all(&lab).await;
    classify(&lab, "shop", "acme").await;
    tell(&lab, 1, "globex", DeploymentState::Active, 1).await;
    tell(&lab, 2, "globex", DeploymentState::Provisioning, 1).await;
    tell(&lab, 3, "globex", DeploymentState::Cancelled, 2).await;
    // Late and older: it is still over.
    tell(&lab, 3, "globex", DeploymentState::Active, 1).await;
    lab.told().await;
    lab
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_holds_through_walks_and_moves() {
    let lab = started().await;
    let linked = link(&lab, "web", Some(1)).await.unwrap();
    assert_eq!((linked.state.tenant_id.unwrap().as_str(), linked.state.version), ("globex", 4));
    expect![[r#"
        shop.example v3 shop acme -
        web v4 shop globex 1
        worker v3 shop acme -
        of-web v4 shop globex 1"#]]
    .assert_eq(&shown(&lab).await);
    expect!["resource.tagged 2"].assert_eq(&lab.told().await);

    link(&lab, "web", Some(1)).await.unwrap();
    sync_all(&lab).await;
    classify(&lab, "shop", "acme").await;
    assert_eq!(lab.told().await, "", "nothing changed");

    // Whose the project is does not matter; which project it is in still follows the provider.
    classify(&lab, "shop", "initech").await;
    let state = lab.provider.state().await;
    let blog =
        state["projects"].as_array().unwrap().iter().find(|project| project["name"] == "blog").unwrap();
    let path = format!("/sim/projects/{}/resources", blog["id"].as_str().unwrap());
    lab.provider.control("POST", &path, Some(&json!({ "resources": ["do:droplet:1"] }))).await;
    lab.told().await;
    sync_all(&lab).await;
    expect![[r#"
        resource.tagged 2
        shop.example v4 shop initech -
        web v5 blog globex 1
        worker v4 shop initech -
        of-web v5 blog globex 1"#]]
    .assert_eq(&format!("{}\n{}", lab.told().await, shown(&lab).await));

    link(&lab, "web", None).await.unwrap();
    sync_all(&lab).await;
    expect![[r#"
        resource.tagged 2
        shop.example v4 shop initech -
        web v6 blog - -
        worker v4 shop initech -
        of-web v6 blog - -"#]]
    .assert_eq(&format!("{}\n{}", lab.told().await, shown(&lab).await));
    link(&lab, "web", None).await.unwrap();
    assert_eq!(lab.told().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_follows_its_droplet_unless_it_is_linked_itself() {
    let lab = started().await;
    link(&lab, "of-web", Some(2)).await.unwrap();
    link(&lab, "web", Some(1)).await.unwrap();
    sync_all(&lab).await;
    expect![[r#"
        shop.example v3 shop acme -
        web v4 shop globex 1
        worker v3 shop acme -
        of-web v4 shop globex 2"#]]
    .assert_eq(&shown(&lab).await);

    // Loose, it follows at once.
    let loose = link(&lab, "of-web", None).await.unwrap();
    assert_eq!(loose.state.deployment_id, Some(id(1)));
    // Following and being linked look the same until the droplet goes elsewhere.
    lab.told().await;
    link(&lab, "of-web", Some(1)).await.unwrap();
    assert_eq!(lab.told().await, "");
    link(&lab, "web", None).await.unwrap();
    sync_all(&lab).await;
    expect![[r#"
        resource.tagged 1
        shop.example v3 shop acme -
        web v5 shop acme -
        worker v3 shop acme -
        of-web v5 shop globex 1"#]]
    .assert_eq(&format!("{}\n{}", lab.told().await, shown(&lab).await));

    // A new snapshot of a linked droplet is found by its own listing.
    link(&lab, "worker", Some(2)).await.unwrap();
    let new = json!([{ "id": "502", "name": "of-worker", "resource_type": "droplet", "resource_id": "2" }]);
    lab.provider.control("POST", "/sim/snapshots", Some(&new)).await;
    lab.sync::<SyncSnapshots>().await;
    assert!(shown(&lab).await.contains("of-worker v2 shop globex 2"), "{}", shown(&lab).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_linked_is_refused() {
    let lab = started().await;
    let unknown: ResourceId = "00000000-0000-4000-8000-000000000001".parse().unwrap();
    let order = |deployment| LinkResource { id: unknown, deployment_id: deployment, actor: operator() };
    assert_eq!(lab.execute(order(Some(id(1)))).await, Err(404));
    assert_eq!(lab.execute(order(None)).await, Err(404));
    assert_eq!(link(&lab, "web", Some(9)).await, Err(422), "nobody has told of it");
    assert_eq!(link(&lab, "web", Some(3)).await, Err(422), "it is cancelled");
    lab.remove("droplets", "2").await;
    for _ in 0..3 {
        lab.sync::<SyncDroplets>().await;
    }
    lab.told().await;
    assert_eq!(link(&lab, "worker", Some(1)).await, Err(422), "it is deleted");
    assert_eq!(lab.told().await, "");
    assert!(!shown(&lab).await.contains("globex"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_zone_outside_every_project_is_not_classified_away() {
    let lab = started().await;
    lab.fault("projects_list_resources", json!("empty_list")).await;
    link(&lab, "shop.example", Some(1)).await.unwrap();
    lab.sync::<SyncProjects>().await;
    assert!(shown(&lab).await.contains("shop.example v5 - globex 1"), "{}", shown(&lab).await);
    let zone = lab.resource_named("shop.example").await;
    let classify = |tenant: &str, purpose: &str| ClassifyResource {
        id: zone,
        tenant_id: Some(tenant.parse().unwrap()),
        purpose: Some(purpose.to_owned()),
        actor: operator(),
    };
    assert_eq!(lab.execute(classify("acme", "shop")).await, Err(422));
    let described = lab.execute(classify("globex", "shop")).await.unwrap();
    assert_eq!((described.state.deployment_id, described.state.version), (Some(id(1)), 6));
    let loose = link(&lab, "shop.example", None).await.unwrap();
    assert_eq!((loose.state.tenant_id, loose.state.deployment_id), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_says_who_linked_and_hides_the_former_tenant() {
    let lab = started().await;
    let resource = lab.resource_named("web").await;
    let actor = Actor { subject: "op-7".to_owned(), ..operator() };
    lab.execute(LinkResource { id: resource, deployment_id: Some(id(1)), actor }).await.unwrap();
    let detail = lab.answer(GetResource { scope: Scope::Operator, id: resource }).await.unwrap();
    let event = &detail.events[0];
    assert_eq!((event.event.as_str(), event.actor.as_deref(), event.version), ("tagged", Some("op-7"), 4));
    let scope = Scope::Tenant("globex".parse().unwrap());
    let detail = lab.answer(GetResource { scope, id: resource }).await.unwrap();
    let [event] = detail.events.as_slice() else { panic!("{:?}", detail.events) };
    assert!(!serde_json::to_string(event).unwrap().contains("acme"));
    let told = sqlx::query_scalar!(
        r#"select convert_from(payload, 'UTF8')::jsonb as "told!" from syncer.outbox
           where convert_from(payload, 'UTF8')::jsonb #>> '{resource,name}' = 'web'"#
    )
    .fetch_one(&mut lab.superuser().await)
    .await
    .unwrap();
    assert_eq!(told["resource"]["deployment_id"], json!(id(1)));
    assert_eq!((&told["resource"]["version"], &told["resource"]["name"]), (&json!(4), &json!("web")));
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_walks_at_once_leave_every_version_told_once_and_in_order() {
    let lab = started().await;
    for round in 0..4_u128 {
        let one = async || link(&lab, "web", Some(1 + round % 2)).await.unwrap();
        let other = async || link(&lab, "web", (round % 2 == 0).then_some(2)).await.unwrap();
        tokio::join!(one(), lab.sync::<SyncProjects>(), other(), classify(&lab, "shop", "hooli"));
    }
    let versions = sqlx::query_scalar!(
        r#"select (convert_from(payload, 'UTF8')::jsonb #>> '{resource,version}')::bigint as "version!"
           from syncer.outbox where convert_from(payload, 'UTF8')::jsonb #>> '{resource,name}' = 'web' order by id"#
    )
    .fetch_all(&mut lab.superuser().await)
    .await
    .unwrap();
    let expected: Vec<i64> = (4..).take(versions.len()).collect();
    assert!(!versions.is_empty());
    assert_eq!(versions, expected);
}
