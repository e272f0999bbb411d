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
        PathKind::Resource | PathKind::Project | PathKind::Parked => ID,
        PathKind::Listing => "droplets",
        PathKind::Owner => "syncer",
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

        if operation.role == Role::Operator {
            for roles in [&["member"][..], &["platform_admin"], &["Platform-Admin"], &[]] {
                let answer = ask(Some(format!("Bearer {}", token("acme", roles)))).await;
                assert_eq!(answer.checked(), 403, "{} for {roles:?}", operation.id);
            }
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
    ] {
        for operation in operations().iter().filter(|operation| !operation.path_parameters.is_empty()) {
            let last = operation.path_parameters.last().unwrap().0;
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
    ] {
        let answer = get(&edge, target, Some(&operator)).await;
        assert_eq!((answer.checked(), answer.fields().join(" ")), (422, field.to_owned()), "{target}");
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
