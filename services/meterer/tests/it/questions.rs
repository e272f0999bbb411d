//! What may be asked of metering, and what is refused.

use contracts::{
    Scope,
    meterer::{
        ConfigureMetering, GetUsage, Granularity, ListDeploymentUsage, ListMeteringConfig, ListUnmetered,
        MeterDays, MeteringConfig,
    },
    paging::{Page, PageRequest},
    syncer::ResourceKind,
};
use expect_test::expect;

use crate::{
    lab::{Lab, date, deployment, operator, resource},
    llm::last_deployment,
};

fn tenant(name: &str) -> Scope {
    Scope::Tenant(name.parse().unwrap())
}

/// Five days of three deployments: two of acme's and one of globex's, each with a droplet, and a bucket of unknown size.
async fn used() -> Lab {
    let lab = Lab::start("2026-05-06T01:10:00Z").await;
    for (number, owner) in [(1, "acme"), (2, "acme"), (3, "globex")] {
        for (offset, kind) in [(0, ResourceKind::Droplet), (10, ResourceKind::SpacesBucket)] {
            let mut resource = resource(number + offset, kind, None);
            resource.deployment_id = Some(deployment(900 + number));
            resource.tenant_id = Some(owner.parse().unwrap());
            lab.told(resource, "2026-05-01T00:00:00Z").await;
        }
    }
    lab.run::<MeterDays>().await;
    lab
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_summed_for_those_who_may_see_it() {
    let lab = used().await;
    let ask = async |scope, deployment_id, tenant_id: Option<&str>| {
        let tenant_id = tenant_id.map(|tenant| tenant.parse().unwrap());
        let (from, to) = (date("2026-05-02"), date("2026-05-04"));
        let report = lab.answer(GetUsage { scope, deployment_id, tenant_id, from, to }).await.unwrap();
        let kinds: Vec<String> =
            report.kinds.iter().map(|usage| format!("{} {}", usage.billing_kind, usage.qty)).collect();
        format!("{} and {} unmetered", kinds.join(", "), report.unmetered)
    };
    let (all, acme, globex) = (
        "droplet_hours 144 and 3 unmetered",
        "droplet_hours 96 and 2 unmetered",
        "droplet_hours 48 and 1 unmetered",
    );
    let nothing = " and 0 unmetered";
    assert_eq!(ask(Scope::Operator, None, None).await, all);
    assert_eq!(ask(Scope::Operator, None, Some("acme")).await, acme);
    assert_eq!(ask(Scope::Operator, Some(deployment(903)), None).await, globex);
    assert_eq!(ask(Scope::Operator, Some(deployment(903)), Some("acme")).await, nothing);
    assert_eq!(ask(tenant("acme"), None, None).await, acme);
    assert_eq!(ask(tenant("acme"), Some(deployment(903)), None).await, nothing);
    assert_eq!(ask(tenant("acme"), None, Some("globex")).await, nothing);
    assert_eq!(ask(tenant("initech"), None, None).await, nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn deployments_come_in_pages_and_a_tenant_sees_its_own() {
    let lab = used().await;
    let ask = async |scope, limit, cursor| {
        let page = PageRequest { limit, cursor };
        lab.answer(ListDeploymentUsage { scope, from: date("2026-05-01"), to: date("2026-06-01"), page })
            .await
    };
    let mut shown = String::new();
    let mut cursor = None;
    loop {
        let page = ask(Scope::Operator, 2, cursor).await.unwrap();
        for item in &page.items {
            let number = item.deployment_id.as_uuid().as_u128();
            let kinds: Vec<String> =
                item.kinds.iter().map(|usage| format!("{} {}", usage.billing_kind, usage.qty)).collect();
            shown.push_str(&format!("{number} of {}: {}\n", item.tenant_id, kinds.join(", ")));
        }
        shown.push_str("--\n");
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    expect![[r#"
        901 of acme: droplet_hours 120
        902 of acme: droplet_hours 120
        --
        903 of globex: droplet_hours 120
        --
    "#]]
    .assert_eq(&shown);
    assert_eq!(ask(tenant("globex"), 50, None).await.unwrap().items.len(), 1);
    // Whose a deployment is, biller says, and not the usage that was recorded before.
    lab.know(last_deployment(903, "initech", None, 1)).await;
    let whose = ask(Scope::Operator, 50, None).await.unwrap().items.remove(2).tenant_id;
    assert_eq!(whose.as_str(), "initech");
    assert_eq!(ask(Scope::Operator, 3, None).await.unwrap().next_cursor, None);

    let others = ask(Scope::Operator, 1, None).await.unwrap().next_cursor;
    assert_eq!(ask(tenant("acme"), 1, others).await.unwrap_err(), "422 cursor");
    assert_eq!(ask(Scope::Operator, 0, None).await.unwrap_err(), "422 limit");
    assert_eq!(ask(Scope::Operator, 201, None).await.unwrap_err(), "422 limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_metered_is_listed_day_by_day() {
    let lab = used().await;
    let ask = async |scope, deployment_id, limit, cursor| {
        let (from, to) = (date("2026-05-01"), date("2026-05-04"));
        let page = PageRequest { limit, cursor };
        lab.answer(ListUnmetered { scope, deployment_id, from, to, page }).await.unwrap()
    };
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let Page { items, next_cursor } = ask(Scope::Operator, None, 4, cursor).await;
        seen.extend(items.iter().map(|item| (item.day, item.resource_id)));
        cursor = next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 9);
    assert!(seen.is_sorted());
    assert_eq!(ask(tenant("acme"), None, 50, None).await.items.len(), 6);
    let one = ask(Scope::Operator, Some(deployment(903)), 1, None).await.items.remove(0);
    assert_eq!(
        serde_json::to_string(&one).unwrap(),
        concat!(
            r#"{"day":"2026-05-01","resource_id":"00000000-0000-0000-0000-00000000000d","#,
            r#""resource_kind":"spaces_bucket","name":"resource-13","tenant_id":"globex","#,
            r#""deployment_id":"00000000-0000-0000-0000-000000000387","billing_kind":"spaces_gb_month","#,
            r#""reason":"size_unknown"}"#
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_that_cannot_be_is_refused_with_its_field() {
    let lab = Lab::start("2026-05-06T01:10:00Z").await;
    for (from, to, refused) in [
        ("2026-05-02", "2026-05-02", "422 to"),
        ("2026-05-02", "2026-05-01", "422 to"),
        ("2026-05-02", "2027-06-07", "422 to"),
        ("-0001-01-01", "2026-05-01", "422 from"),
        ("2026-05-02", "+262142-12-31", "422 to"),
    ] {
        let (from, to, scope) = (date(from), date(to), Scope::Operator);
        let usage = GetUsage { scope: scope.clone(), deployment_id: None, tenant_id: None, from, to };
        assert_eq!(lab.answer(usage).await.unwrap_err(), refused, "{from} {to}");
        let page = PageRequest::default();
        let list = ListDeploymentUsage { scope: scope.clone(), from, to, page: page.clone() };
        assert_eq!(lab.answer(list).await.unwrap_err(), refused, "{from} {to}");
        let list = ListUnmetered { scope, deployment_id: None, from, to, page };
        assert_eq!(lab.answer(list).await.unwrap_err(), refused, "{from} {to}");
    }
    // Of everyone at once only as much as a month.
    let ask = async |scope, deployment_id, tenant_id: Option<&str>, to| {
        let tenant_id = tenant_id.map(|tenant| tenant.parse().unwrap());
        let from = date("2026-05-01");
        lab.answer(GetUsage { scope, deployment_id, tenant_id, from, to: date(to) }).await.map(drop)
    };
    assert_eq!(ask(Scope::Operator, None, None, "2026-06-01").await, Ok(()));
    assert_eq!(ask(Scope::Operator, None, None, "2026-06-02").await, Err("422 to".to_owned()));
    assert_eq!(ask(Scope::Operator, Some(deployment(900)), None, "2027-06-05").await, Ok(()));
    assert_eq!(ask(Scope::Operator, None, Some("acme"), "2027-06-05").await, Ok(()));
    assert_eq!(ask(tenant("acme"), None, None, "2027-06-05").await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_kind_is_metered_is_shown_and_set_by_operators() {
    let lab = Lab::start("2026-05-06T01:10:00Z").await;
    let set = async |kind: &str, granularity, retention_days| {
        let config = MeteringConfig { billing_kind: kind.parse().unwrap(), granularity, retention_days };
        lab.execute(ConfigureMetering { config, actor: operator() }).await.map(drop)
    };
    assert_eq!(set("droplet_hours", Granularity::Hourly, 35).await, Ok(()));
    assert_eq!(set("dns_zones", Granularity::Daily, 3650).await, Ok(()));
    let refused = |text: &str| Err(text.to_owned());
    assert_eq!(set("bandwidth_gb", Granularity::Daily, 400).await, refused("404"));
    assert_eq!(set("dns_zones", Granularity::Daily, 34).await, refused("422 /retention_days"));
    assert_eq!(set("dns_zones", Granularity::Daily, 3651).await, refused("422 /retention_days"));
    assert_eq!(set("llm_tokens", Granularity::Hourly, 400).await, refused("422 /granularity"));

    let shown = lab.answer(ListMeteringConfig { scope: Scope::Operator }).await.unwrap();
    let shown: String = shown
        .items
        .iter()
        .map(|config| format!("{} {} {}\n", config.billing_kind, config.granularity, config.retention_days))
        .collect();
    expect![[r#"
        dns_zones daily 3650
        droplet_backup_gb_month daily 400
        droplet_hours hourly 35
        llm_tokens daily 400
        snapshot_gb_month daily 400
        spaces_gb_month daily 400
    "#]]
    .assert_eq(&shown);
    assert_eq!(lab.answer(ListMeteringConfig { scope: tenant("acme") }).await.unwrap_err(), "404");
}
