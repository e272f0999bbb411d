//! What the inventory shows, and to whom.

use contracts::{
    Scope,
    paging::PageRequest,
    syncer::{
        ClassifyProject, GetResource, ListListings, ListProjects, ListResources, ResourceKind, SyncDroplets,
        SyncProjects, SyncVolumes,
    },
};
use serde_json::json;

use crate::lab::{Lab, operator};

fn list(scope: Scope) -> ListResources {
    ListResources {
        scope,
        kind: None,
        status: None,
        project_id: None,
        deployment_id: None,
        tenant_id: None,
        page: PageRequest::default(),
    }
}

fn tenant(name: &str) -> Scope {
    Scope::Tenant(name.parse().unwrap())
}

/// Two tenants with a project each.
async fn two_tenants() -> Lab {
    let lab = Lab::start(json!({
        "projects": [{ "name": "a" }, { "name": "b" }],
        "droplets": [
            { "id": 1, "name": "a-1", "project": "a" }, { "id": 2, "name": "a-2", "project": "a", "status": "off" },
            { "id": 3, "name": "b-1", "project": "b" },
        ],
        "volumes": [{ "name": "a-data", "project": "a" }],
    }))
    .await;
    lab.sync::<SyncDroplets>().await;
    lab.sync::<SyncVolumes>().await;
    lab.sync::<SyncProjects>().await;
    for (project, owner) in [("a", "acme"), ("b", "globex")] {
        let (id, tenant_id) = (lab.project_named(project).await, Some(owner.parse().unwrap()));
        lab.execute(ClassifyProject { id, tenant_id, purpose: None, actor: operator() }).await.unwrap();
    }
    lab
}

async fn names(lab: &Lab, query: ListResources) -> Vec<String> {
    let mut names: Vec<String> =
        lab.answer(query).await.unwrap().items.into_iter().map(|resource| resource.state.name).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_narrow_the_inventory() {
    let lab = two_tenants().await;
    let all = || list(Scope::Operator);
    let project = lab.project_named("b").await;
    for (query, want) in [
        (all(), vec!["a-1", "a-2", "a-data", "b-1"]),
        (ListResources { kind: Some(ResourceKind::Volume), ..all() }, vec!["a-data"]),
        (ListResources { status: Some("off".to_owned()), ..all() }, vec!["a-2"]),
        (ListResources { status: Some("deleted".to_owned()), ..all() }, vec![]),
        (ListResources { project_id: Some(project), ..all() }, vec!["b-1"]),
        (ListResources { tenant_id: Some("globex".parse().unwrap()), ..all() }, vec!["b-1"]),
        (ListResources { kind: Some(ResourceKind::Droplet), ..list(tenant("acme")) }, vec!["a-1", "a-2"]),
        (list(tenant("initech")), vec![]),
    ] {
        assert_eq!(names(&lab, query.clone()).await, want, "{query:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_cover_everything_once_and_a_cursor_is_good_for_its_question_only() {
    let lab = two_tenants().await;
    let page = |cursor| ListResources { page: PageRequest { limit: 1, cursor }, ..list(Scope::Operator) };
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let answer = lab.answer(page(cursor.clone())).await.unwrap();
        seen.extend(answer.items.into_iter().map(|resource| resource.state.id));
        let Some(next) = answer.next_cursor else { break };
        cursor = Some(next);
    }
    assert_eq!(seen.len(), 4);
    assert!(seen.is_sorted());
    let elsewhere = ListResources { kind: Some(ResourceKind::Droplet), ..page(cursor.clone()) };
    assert_eq!(lab.answer(elsewhere).await, Err(422));
    assert_eq!(lab.answer(ListResources { scope: tenant("acme"), ..page(cursor) }).await, Err(422));
    for limit in [0, 201] {
        let query = ListResources { page: PageRequest { limit, cursor: None }, ..list(Scope::Operator) };
        assert_eq!(lab.answer(query).await, Err(422));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_sees_its_own_and_cannot_tell_anothers_from_nothing() {
    let lab = two_tenants().await;
    assert_eq!(names(&lab, list(tenant("acme"))).await, ["a-1", "a-2", "a-data"]);
    let others = ListResources { tenant_id: Some("globex".parse().unwrap()), ..list(tenant("acme")) };
    assert_eq!(names(&lab, others).await, [""; 0]);

    let own = lab.resource_named("a-1").await;
    let detail = lab.answer(GetResource { scope: tenant("acme"), id: own }).await.unwrap();
    // Its history from before it was acme's is not acme's to see, nor which operator gave it to acme.
    let history: Vec<_> =
        detail.events.iter().map(|event| (event.event.as_str(), event.actor.as_deref())).collect();
    assert_eq!(history, [("tagged", None)]);
    assert_eq!(detail.events[0].changes[0].from, None);
    let all = lab.answer(GetResource { scope: Scope::Operator, id: own }).await.unwrap();
    let history: Vec<_> =
        all.events.iter().map(|event| (event.event.as_str(), event.actor.as_deref())).collect();
    assert_eq!(history, [("tagged", Some("op-1")), ("tagged", None), ("discovered", None)]);

    let id = lab.resource_named("b-1").await;
    assert_eq!(lab.answer(GetResource { scope: tenant("acme"), id }).await, Err(404));
    let id = "00000000-0000-4000-8000-000000000001".parse().unwrap();
    assert_eq!(lab.answer(GetResource { scope: tenant("acme"), id }).await, Err(404));

    let projects = ListProjects { scope: tenant("acme"), page: PageRequest::default() };
    let projects = lab.answer(projects).await.unwrap().items;
    assert_eq!(projects.iter().map(|project| project.name.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(lab.answer(ListListings { scope: tenant("acme") }).await, Err(404));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_itself_keeps_tenants_apart() {
    let lab = two_tenants().await;
    let mut tx = messaging::ScopedTx::begin(&lab.syncer.pool, contracts::Service::Syncer, &tenant("acme"))
        .await
        .unwrap();
    let counts = sqlx::query!(
        r#"select (select count(*) from syncer.cloud_resources) as "resources!",
                  (select count(*) from syncer.cloud_projects) as "projects!",
                  (select count(*) from syncer.cloud_resource_events) as "events!""#
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    assert_eq!((counts.resources, counts.projects, counts.events), (3, 1, 3));
    let listings = sqlx::query_scalar!("select listing from syncer.listings").fetch_all(&mut *tx).await;
    assert!(listings.unwrap_err().to_string().contains("permission denied"));

    // History is append-only, even for the service itself.
    let mut tx = lab.syncer.pool.begin().await.unwrap();
    let rewritten =
        sqlx::query!("update syncer.cloud_resource_events set event = 'deleted'").execute(&mut *tx).await;
    assert!(rewritten.unwrap_err().to_string().contains("permission denied"));
}
