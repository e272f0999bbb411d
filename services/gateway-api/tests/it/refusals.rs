//! Whatever is refused is a problem of one shape, and says what to do.

use axum::body::Body;
use gateway_api::{
    edge::{Cors, Edge},
    operation::{PathKind, Role},
    operations::operations,
};
use serde_json::json;

use crate::support::{Answer, edge, operator, request, send, token};

const ID: &str = "0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d";

async fn get(edge: &Edge, target: &str, token: Option<&str>) -> Answer {
    let mut request = request("GET", target);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    send(edge, request.body(Body::empty()).unwrap()).await
}

async fn post(edge: &Edge, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = request("POST", target).header("authorization", format!("Bearer {}", operator()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(edge, request.body(Body::from(body.to_owned())).unwrap()).await
}

/// The path of an operation with one kind of value for its parameters.
fn target(operation: &gateway_api::operation::Operation, value: fn(PathKind) -> &'static str) -> String {
    operation.path_parameters.iter().fold(operation.path.to_owned(), |path, (name, kind)| {
        path.replace(&format!("{{{name}}}"), value(*kind))
    })
}

fn well_formed(kind: PathKind) -> &'static str {
    match kind {
        PathKind::Resource
        | PathKind::Project
        | PathKind::Parked
        | PathKind::Deployment
        | PathKind::PlanVersion => ID,
        PathKind::Listing => "droplets",
        PathKind::Owner => "syncer",
        PathKind::Plan => "studio",
        PathKind::BillingKind => "droplet_hours",
        PathKind::Day => "2026-11-24",
    }
}

#[tokio::test]
async fn every_operation_asks_for_a_token_and_gives_one_reason() {
    let edge = edge(Cors::Deployed).await;
    for operation in operations().iter().filter(|operation| operation.role != Role::Public) {
        let target = target(operation, well_formed);
        let ask = |authorization: Option<String>| {
            let mut request = request(operation.method.as_str(), &target).header("x-request-id", "same-id-1");
            if let Some(authorization) = authorization {
                request = request.header("authorization", authorization);
            }
            send(&edge, request.body(Body::empty()).unwrap())
        };
        let mut bodies = Vec::new();
        for authorization in [
            None,
            Some("Bearer garbage".to_owned()),
            Some(format!("Basic {}", operator())),
            Some(format!("Bearer {}x", operator())),
        ] {
            let answer = ask(authorization).await;
            assert_eq!(answer.checked(), 401, "{}", operation.id);
            assert_eq!(answer.header("www-authenticate"), r#"Bearer error="invalid_token""#);
            bodies.push(answer.text());
        }
        let expected = r#"{"type":"about:blank","title":"Unauthorized","status":401,"instance":"same-id-1"}"#;
        assert!(bodies.iter().all(|body| body == expected), "{bodies:?}");

        let others: &[&[&str]] = match operation.role {
            Role::Public | Role::Tenant => &[],
            Role::Operator => &[&["member"], &["platform_admin"], &["Platform-Admin"], &["llm-gateway"], &[]],
            Role::UsageProducer => &[
                &["member"],
                &["platform_admin"],
                &["llm_gateway"],
                &["LLM-Gateway"],
                &["llm-gateway "],
                &[],
            ],
        };
        for roles in others {
            let answer = ask(Some(format!("Bearer {}", token("acme", roles)))).await;
            assert_eq!(answer.checked(), 403, "{} for {roles:?}", operation.id);
        }
    }
}

#[tokio::test]
async fn a_malformed_id_answers_as_an_absent_one() {
    let edge = edge(Cors::Deployed).await;
    let token = operator();
    let absent = contracts::Problem::not_found();
    for bad in [
        "abc",
        "0191E4A0-7C3B-7D52-9C0E-2F6F3A1B4C5D",
        "0191e4a07c3b7d529c0e2f6f3a1b4c5d",
        "%7B0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d%7D",
        "urn:uuid:0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d",
        "00000000-0000-0000-0000-000000000000",
        "0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5",
        "%20",
        "a%00b",
        "a%2Fb",
        "..%2f",
        "%2e%2e",
        "%252e",
        "1",
        "-1",
        "18446744073709551616",
        "'%20OR%201=1--",
        "*",
        "%3E",
        "a.b",
        "%EF%BC%91",
        "%E2%80%AE",
        "%F0%9F%99%82",
        "..;",
        "listings%00",
        "Studio",
        "a-b",
        "2026-02-30",
        "2026-2-3",
        "+02026-2-3",
        "today",
        "abcdefghijabcdefghijabcdefghijabcdefghijx",
    ] {
        for operation in operations().iter().filter(|operation| !operation.path_parameters.is_empty()) {
            let (last, kind) = *operation.path_parameters.last().unwrap();
            if ["abc", "today"].contains(&bad) && matches!(kind, PathKind::Plan | PathKind::BillingKind) {
                continue;
            }
            let path = operation.path.replace(&format!("{{{last}}}"), bad).replace("{service}", "syncer");
            let request = request(operation.method.as_str(), &path)
                .header("authorization", format!("Bearer {token}"))
                .header("content-type", "application/json");
            let body = operation.body.map_or("", |body| body.sample);
            let answer = send(&edge, request.body(Body::from(body)).unwrap()).await;
            assert_eq!(answer.checked(), 404, "{bad} at {}", operation.id);
            let mut problem = answer.json();
            problem.as_object_mut().unwrap().remove("instance");
            assert_eq!(problem, serde_json::to_value(&absent).unwrap());
        }
    }
    assert_eq!(get(&edge, "/api/v1/inventory/%ff", Some(&token)).await.checked(), 400);
    assert_eq!(get(&edge, "/api/v1/inventory/%zz", Some(&token)).await.checked(), 400);
    assert_eq!(get(&edge, &format!("/api/v1/parked/nobody/{ID}"), Some(&token)).await.checked(), 404);
    assert_eq!(get(&edge, &format!("/api/v1/parked/gateway-api/{ID}"), Some(&token)).await.checked(), 404);
}

#[tokio::test]
async fn what_is_not_in_the_table_is_a_problem_too() {
    let edge = edge(Cors::Deployed).await;
    for unknown in [
        "/",
        "/api",
        "/api/v2/inventory",
        "/api/v1/inventory/",
        "//api/health",
        "/api/v1/inventory//classify",
        "/api/health/../docs",
    ] {
        assert_eq!(get(&edge, unknown, None).await.checked(), 404, "{unknown}");
    }
    for (method, path, allow) in [
        ("DELETE", "/api/v1/inventory".to_owned(), "GET,HEAD"),
        ("PUT", format!("/api/v1/inventory/{ID}"), "GET,HEAD"),
        ("GET", format!("/api/v1/inventory/{ID}/classify"), "POST"),
        ("TRACE", "/api/health".to_owned(), "GET,HEAD"),
        ("PROPFIND", "/api/health".to_owned(), "GET,HEAD"),
        ("OPTIONS", "/api/health".to_owned(), "GET,HEAD"),
    ] {
        let answer = send(&edge, request(method, &path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.checked(), 405, "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    let health = get(&edge, "/api/health?whatever=1", None).await;
    assert_eq!(
        (health.checked(), health.text()),
        (200, r#"{"service":"arcadia-cloud","status":"ok"}"#.to_owned())
    );
    let head = send(&edge, request("HEAD", "/api/health").body(Body::empty()).unwrap()).await;
    assert_eq!((head.checked(), head.body.len()), (200, 0));
}

#[tokio::test]
async fn parameters_are_known_once_and_within_bounds() {
    let edge = edge(Cors::Deployed).await;
    let (operator, tenant) = (operator(), token("acme", &["member"]));
    let long = format!("status={}", "x".repeat(65));
    let many = format!("cursor={}", "x".repeat(513));
    let cases: &[(&str, u16, &str)] = &[
        ("limit=0", 422, "limit"),
        ("limit=-1", 422, "limit"),
        ("limit=201", 422, "limit"),
        ("limit=abc", 422, "limit"),
        ("limit=1e2", 422, "limit"),
        ("limit=%2B5", 422, "limit"),
        ("limit=5.0", 422, "limit"),
        ("limit=", 422, "limit"),
        ("limit=18446744073709551616", 422, "limit"),
        ("limit=1&limit=1", 400, ""),
        ("limit=1&%6Cimit=1", 400, ""),
        ("knd=droplet", 422, "knd"),
        ("a[]=1", 422, "a[]"),
        ("token=x", 422, "token"),
        ("%00=x", 422, "query"),
        ("kind=Droplet", 422, "kind"),
        ("kind=", 422, "kind"),
        ("kind=a,b", 422, "kind"),
        ("status=", 422, "status"),
        ("status=a%00b", 422, "status"),
        ("status=a%E2%80%AEb", 422, "status"),
        (&long, 422, "status"),
        ("project=abc", 422, "project"),
        ("deployment=%7B%7D", 422, "deployment"),
        ("tenant=", 422, "tenant"),
        ("tenant=*", 422, "tenant"),
        ("cursor=", 422, "cursor"),
        ("cursor=a%20b", 422, "cursor"),
        (&many, 422, "cursor"),
        ("kind=%zz", 400, ""),
        ("kind=%", 400, ""),
        ("kind=%ff", 400, ""),
    ];
    for (query, status, field) in cases {
        let answer = get(&edge, &format!("/api/v1/inventory?{query}"), Some(&operator)).await;
        assert_eq!(answer.checked(), *status, "{query}: {}", answer.text());
        assert_eq!(answer.fields().join(" "), *field, "{query}");
    }
    let answer = get(&edge, "/api/v1/inventory?tenant=other", Some(&tenant)).await;
    assert_eq!((answer.checked(), answer.fields()), (422, vec!["tenant".to_owned()]));
    for (target, field) in [
        ("/api/v1/inventory/listings?limit=1", "limit"),
        ("/api/v1/projects?kind=x", "kind"),
        ("/api/v1/parked?service=gateway-api", "service"),
        ("/api/v1/parked?status=open", "status"),
        ("/api/v1/parked?cursor=abc", "cursor"),
        ("/api/v1/events?subject=%3E", "subject"),
        ("/api/v1/events?subject=evt.llm-gateway.%3E", "subject"),
        (&format!("/api/v1/inventory/{ID}?x=1"), "x"),
        ("/api/v1/deployments?state=Active", "state"),
        ("/api/v1/deployments?state=", "state"),
        ("/api/v1/deployments?tenant=a.b", "tenant"),
        ("/api/v1/catalog/plans?status=draft", "status"),
        ("/api/v1/usage?limit=1", "limit"),
        ("/api/v1/usage?deployment=*", "deployment"),
        ("/api/v1/usage?from=2026-02-30", "from"),
        ("/api/v1/usage?from=2026-11-01T00:00:00Z", "from"),
        ("/api/v1/usage?to=2026-1-01", "to"),
        ("/api/v1/usage?from=2026-11-01&to=2026-11-01", "to"),
        ("/api/v1/usage/deployments?from=2026-11-02&to=2026-11-01", "to"),
        ("/api/v1/usage/unmetered?from=2026-01-01&to=2027-02-06", "to"),
        ("/api/v1/usage/conflicts?from=2026-01-01", "from"),
        ("/api/v1/usage/metering?limit=1", "limit"),
        ("/api/v1/quote?plan_code=studio", "plan_code"),
    ] {
        let answer = match target.starts_with("/api/v1/quote") {
            true => post(&edge, target, &[], "").await,
            false => get(&edge, target, Some(&operator)).await,
        };
        assert_eq!((answer.checked(), answer.fields().join(" ")), (422, field.to_owned()), "{target}");
    }
    for target in ["/api/v1/deployments?tenant=other", "/api/v1/usage?tenant=other"] {
        let answer = get(&edge, target, Some(&tenant)).await;
        assert_eq!((answer.checked(), answer.fields()), (422, vec!["tenant".to_owned()]), "{target}");
    }
    let request = request("GET", "/api/v1/events")
        .header("authorization", format!("Bearer {tenant}"))
        .header("last-event-id", "-1");
    let answer = send(&edge, request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.checked(), answer.fields()), (422, vec!["Last-Event-ID".to_owned()]));
}

#[tokio::test]
async fn bodies_and_keys_are_read_strictly() {
    let edge = edge(Cors::Deployed).await;
    let path = format!("/api/v1/projects/{ID}/classify");
    let json = ("content-type", "application/json");
    let good = r#"{"tenant_id":"acme"}"#;
    for (headers, body, status) in [
        (vec![], good, 415),
        (vec![("content-type", "text/plain")], good, 415),
        (vec![json, ("content-encoding", "gzip")], good, 415),
        (vec![json], "", 400),
        (vec![json], "{", 400),
        (vec![json], "[]", 422),
        (vec![json], "{}", 422),
        (vec![json], r#"{"tenant_id":"acme","roles":[]}"#, 422),
        (vec![json, ("idempotency-key", "")], good, 400),
        (vec![json, ("idempotency-key", "a"), ("idempotency-key", "a")], good, 400),
    ] {
        assert_eq!(post(&edge, &path, &headers, body).await.checked(), status, "{headers:?} {body}");
    }
    let answer = post(&edge, &path, &[json], r#"{"tenant_id":"acme","roles":[]}"#).await;
    assert_eq!(answer.fields(), ["/roles"]);
    // Told by its length, and found out without one.
    let large = format!(r#"{{"tenant_id":"{}"}}"#, "x".repeat(65 * 1024));
    assert_eq!(post(&edge, &path, &[json], &large).await.checked(), 413);
    let length = large.len().to_string();
    assert_eq!(post(&edge, &path, &[json, ("content-length", &length)], &large).await.checked(), 413);
}

#[tokio::test]
async fn a_field_that_is_not_acceptable_is_named() {
    let edge = edge(Cors::Deployed).await;
    let json = ("content-type", "application/json");
    let quote = "/api/v1/quote";
    let versions = "/api/v1/catalog/plans/studio/versions";
    let deployment = |rest: &str| format!("/api/v1/deployments/{ID}/{rest}");
    let (transition, migrate) = (deployment("transition"), deployment("migrate"));
    let (subscribe, billing) = (deployment("subscribe"), deployment("billing-actions"));
    let link = format!("/api/v1/inventory/{ID}/link");
    let many = format!(r#"{{"plan_code":"studio","addons":[{}]}}"#, vec![r#""a""#; 101].join(","));
    let cases: &[(&str, &str, &str)] = &[
        (quote, r#"{}"#, "/plan_code"),
        (quote, r#"{"plan_code":"Studio"}"#, "/plan_code"),
        (
            quote,
            r#"{"plan_code":"studio","projected_usage":{"llm_tokens":1.5}}"#,
            "/projected_usage/llm_tokens",
        ),
        (
            quote,
            r#"{"plan_code":"studio","projected_usage":{"llm_tokens":1e3}}"#,
            "/projected_usage/llm_tokens",
        ),
        (
            quote,
            r#"{"plan_code":"studio","projected_usage":{"llm_tokens":-1}}"#,
            "/projected_usage/llm_tokens",
        ),
        (
            quote,
            r#"{"plan_code":"studio","projected_usage":{"llm_tokens":null}}"#,
            "/projected_usage/llm_tokens",
        ),
        (
            quote,
            r#"{"plan_code":"studio","projected_usage":{"a":"0.1234567890123456789"}}"#,
            "/projected_usage/a",
        ),
        (quote, r#"{"plan_code":"studio","projected_usage":{"a":1,"a":1}}"#, "/projected_usage/a"),
        (quote, r#"{"plan_code":"studio","projected_usage":{"A B":1}}"#, "/projected_usage/A B"),
        (quote, r#"{"plan_code":"studio","projected_usage":null}"#, "/projected_usage"),
        (quote, r#"{"plan_code":"studio","projected_usage":[]}"#, "/projected_usage"),
        (quote, r#"{"plan_code":"studio","addons":["x","Y"]}"#, "/addons/1"),
        (quote, r#"{"plan_code":"studio","addons":null}"#, "/addons"),
        (quote, &many, "/addons"),
        (quote, r#"{"plan_code":"studio","starts_on":null}"#, "/starts_on"),
        (quote, r#"{"plan_code":"studio","starts_on":"2027-02-29"}"#, "/starts_on"),
        (quote, r#"{"plan_code":"studio","starts_on":20270301}"#, "/starts_on"),
        (quote, r#"{"plan_code":"studio","scope":"operator"}"#, "/scope"),
        ("/api/v1/catalog/plans", r#"{"code":"a b","name":"x"}"#, "/code"),
        ("/api/v1/catalog/plans", r#"{"code":"a","name":""}"#, "/name"),
        ("/api/v1/catalog/plans", r#"{"code":"a","name":"x","actor":{}}"#, "/actor"),
        (versions, r#"{"base_price_cents":1.0,"currency":"AUD","items":[]}"#, "/base_price_cents"),
        (versions, r#"{"base_price_cents":"1","currency":"AUD","items":[]}"#, "/base_price_cents"),
        (versions, r#"{"base_price_cents":-1,"currency":"AUD","items":[]}"#, "/base_price_cents"),
        (versions, r#"{"base_price_cents":1,"currency":"aud","items":[]}"#, "/currency"),
        (versions, r#"{"base_price_cents":1,"currency":"AUD"}"#, "/items"),
        (versions, r#"{"base_price_cents":1,"currency":"AUD","items":{}}"#, "/items"),
        (versions, r#"{"base_price_cents":1,"currency":"AUD","items":[["a",1,"hour",1]]}"#, "/items/0"),
        (
            versions,
            r#"{"base_price_cents":1,"currency":"AUD","items":[{"resource_kind":"a","included_qty":1,"overage_unit":"Hour","overage_price_cents":1}]}"#,
            "/items/0/overage_unit",
        ),
        (
            versions,
            r#"{"base_price_cents":1,"currency":"AUD","items":[{"resource_kind":"a","included_qty":1,"overage_unit":"hour","overage_price_cents":1,"hard_cap_qty":null}]}"#,
            "/items/0/hard_cap_qty",
        ),
        (
            versions,
            r#"{"base_price_cents":1,"currency":"AUD","items":[{"resource_kind":"a","included_qty":1,"overage_unit":"hour","overage_price_cents":1,"extra":1}]}"#,
            "/items/0/extra",
        ),
        (
            "/api/v1/catalog/prices",
            r#"{"resource_kind":"a","unit":"hour","unit_price_cents":1,"currency":"AUD","effective_from":"2027-1-1"}"#,
            "/effective_from",
        ),
        ("/api/v1/deployments", r#"{"slug":"Shop","display_name":"x","region":"syd1"}"#, "/slug"),
        ("/api/v1/deployments", r#"{"slug":"shop","display_name":"x","region":"syd1"}"#, "/tenant_id"),
        (
            "/api/v1/deployments",
            r#"{"tenant_id":null,"slug":"shop","display_name":"x","region":"syd1"}"#,
            "/tenant_id",
        ),
        (
            "/api/v1/deployments",
            r#"{"tenant_id":"acme","slug":"shop","display_name":"x","region":"syd1","trial_days":366}"#,
            "/trial_days",
        ),
        (
            "/api/v1/deployments",
            r#"{"tenant_id":"acme","slug":"shop","display_name":"x","region":"syd1","llm_mode":"none"}"#,
            "/llm_mode",
        ),
        (
            "/api/v1/deployments",
            r#"{"tenant_id":"acme","slug":"shop","display_name":"x","region":"syd1","state":"active"}"#,
            "/state",
        ),
        (&transition, r#"{"to":"Paused"}"#, "/to"),
        (&transition, r#"{"to":"paused","reason":""}"#, "/reason"),
        (&subscribe, r#"{"addons":[]}"#, "/plan_code"),
        (&migrate, r#"{"plan_version_id":"1"}"#, "/plan_version_id"),
        (&billing, r#"{"suspended":"true"}"#, "/suspended"),
        (&billing, r#"{"suspended":1}"#, "/suspended"),
        (&link, r#"{}"#, "/deployment_id"),
        (&link, r#"{"deployment_id":""}"#, "/deployment_id"),
        ("/api/v1/usage/metering/a", r#"{"granularity":"weekly","retention_days":400}"#, "/granularity"),
        ("/api/v1/usage/metering/a", r#"{"granularity":"daily","retention_days":34}"#, "/retention_days"),
    ];
    for (target, body, field) in cases {
        let answer = post(&edge, target, &[json], body).await;
        assert_eq!(answer.checked(), 422, "{target} {body}");
        assert_eq!(answer.fields(), [*field], "{target} {body}");
    }
    // A tenant does not say whose a deployment is, not even that it is their own.
    for tenant in ["acme", "globex"] {
        let body = format!(r#"{{"tenant_id":"{tenant}","slug":"shop","display_name":"x","region":"syd1"}}"#);
        let request = request("POST", "/api/v1/deployments")
            .header("authorization", format!("Bearer {}", token("acme", &["member"])))
            .header("content-type", "application/json");
        let answer = send(&edge, request.body(Body::from(body)).unwrap()).await;
        assert_eq!((answer.checked(), answer.fields()), (422, vec!["/tenant_id".to_owned()]));
    }
}

#[tokio::test]
async fn usage_is_taken_in_larger_bodies_and_events_are_not_looked_into() {
    let edge = edge(Cors::Deployed).await;
    let (target, json) = ("/api/v1/integrations/llm-usage", ("content-type", "application/json"));
    let padding = "x".repeat(900_000);
    let events = vec![r#"{"a":1}"#; 1_001].join(",");
    for (body, status, fields) in [
        // Longer than other operations take, and passed on all the same; nobody is there to take it.
        (format!(r#"{{"events":[{{"a":"{padding}","b":1,"b":2}}]}}"#), 503, ""),
        (format!(r#"{{"a":"{padding}","b":{{"c":1}},"b":1}}"#), 422, "/b"),
        (format!(r#"{{"events":[],"a":"{padding}{padding}"}}"#), 413, ""),
        (r#"{"events":[]}"#.to_owned(), 422, "/events"),
        (format!(r#"{{"events":[{events}]}}"#), 422, "/events"),
        (r#"{"events":{}}"#.to_owned(), 422, "/events"),
        (r#"{"events":null}"#.to_owned(), 422, "/events"),
        (r#"{"events":[{}],"gateway_request_id":"r"}"#.to_owned(), 422, "/gateway_request_id"),
        // What an event holds is judged event by event, by who knows what an event is.
        (r#"{"events":[{"charge":1e400,"provider":"\ud800"}]}"#.to_owned(), 503, ""),
        (r#"{"events":[{"charge":}]}"#.to_owned(), 400, ""),
        (r#"[{"charge":"1"}]"#.to_owned(), 422, ""),
    ] {
        let answer = post(&edge, target, &[json], &body).await;
        assert_eq!(answer.checked(), status, "{}", &body[..body.len().min(80)]);
        assert_eq!(answer.fields().join(" "), fields, "{}", &body[..body.len().min(80)]);
    }
    // Told by its length: too large for one operation and not for another.
    let length = "100000";
    let answer = post(&edge, target, &[json, ("content-length", length)], "{").await;
    assert_eq!(answer.checked(), 400);
    let answer = post(&edge, "/api/v1/quote", &[json, ("content-length", length)], "{").await;
    assert_eq!(answer.checked(), 413);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let edge = edge(Cors::Deployed).await;
    let never = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let request = request("POST", &format!("/api/v1/projects/{ID}/classify"))
        .header("authorization", format!("Bearer {}", operator()))
        .header("content-type", "application/json");
    assert_eq!(send(&edge, request.body(never).unwrap()).await.checked(), 408);
}

#[tokio::test]
async fn a_head_has_its_limits() {
    let edge = edge(Cors::Deployed).await;
    let with = |headers: Vec<(String, String)>| {
        let request = headers
            .into_iter()
            .fold(request("GET", "/api/health"), |request, (name, value)| request.header(name, value));
        send(&edge, request.body(Body::empty()).unwrap())
    };
    let many = (0..64).map(|index| (format!("x-{index}"), "1".to_owned())).collect();
    let answer = with(many).await;
    assert_eq!((answer.checked(), answer.header("connection")), (431, "close"));
    assert_eq!(with(vec![("cookie".to_owned(), "c".repeat(17 * 1024))]).await.checked(), 431);
    assert_eq!(with(vec![("host".to_owned(), "other".to_owned())]).await.checked(), 400);
    let long = format!("/api/health?{}", "x".repeat(8 * 1024));
    assert_eq!(get(&edge, &long, None).await.checked(), 414);
}

#[tokio::test]
async fn a_request_id_is_kept_when_harmless() {
    let edge = edge(Cors::Deployed).await;
    for (id, kept) in [("0123456789-abc", true), ("short", false), ("with space and more", false)] {
        let request = request("GET", "/nowhere").header("x-request-id", id).body(Body::empty()).unwrap();
        let answer = send(&edge, request).await;
        answer.checked();
        assert_eq!(answer.header("x-request-id") == id, kept, "{id}");
    }
}

#[tokio::test]
async fn browsers_are_told_what_they_may_do() {
    let edge = edge(Cors::Deployed).await;
    let ask = |method: &'static str, origin: &'static str| {
        let request = request(method, "/api/v1/inventory")
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization, x-evil");
        send(&edge, request.body(Body::empty()).unwrap())
    };
    let preflight = ask("OPTIONS", "https://app.sky-ai.com").await;
    assert_eq!(preflight.checked(), 204);
    assert_eq!(preflight.header("access-control-allow-origin"), "https://app.sky-ai.com");
    assert_eq!(preflight.header("access-control-allow-methods"), "GET, POST");
    assert!(!preflight.header("access-control-allow-headers").contains("evil"));
    assert!(preflight.headers.get("access-control-allow-credentials").is_none());

    // A refused token is readable by the page that sent it, or the page could not tell why.
    let refused = ask("GET", "https://app.sky-ai.com").await;
    assert_eq!(
        (refused.checked(), refused.header("access-control-allow-origin")),
        (401, "https://app.sky-ai.com")
    );

    for origin in ["https://evil.com", "null", "http://localhost:3000"] {
        for method in ["OPTIONS", "GET"] {
            let answer = ask(method, origin).await;
            let told =
                answer.headers.keys().filter(|name| name.as_str().starts_with("access-control-")).count();
            assert_eq!(told, 0, "{method} from {origin}");
            assert_eq!(answer.header("vary"), "origin");
        }
    }
}

#[tokio::test]
async fn every_answer_is_told_to_be_safe() {
    let edge = edge(Cors::Deployed).await;
    for target in ["/api/health", "/api/docs", "/nowhere", "/api/v1/inventory"] {
        let answer = get(&edge, target, None).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-site"),
            ("strict-transport-security", "max-age=63072000"),
        ] {
            assert_eq!(answer.header(name), value, "{target}");
        }
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{target}");
        assert!(answer.headers.get("server").is_none());
        let cache = if target == "/api/health" || target == "/api/docs" { "no-cache" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), cache, "{target}");
    }
    assert_eq!(json!(get(&edge, "/nowhere", None).await.json()["type"]), json!("about:blank"));
}
