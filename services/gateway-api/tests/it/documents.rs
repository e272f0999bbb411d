//! The document and the page.

use std::collections::BTreeSet;

use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use expect_test::expect_file;
use gateway_api::{edge::Cors, openapi, operations::operations};
use sha2::{Digest, Sha256};

use crate::support::{edge, request, send};

#[test]
fn the_committed_document_is_current() {
    expect_file!["../../openapi.json"].assert_eq(&openapi::render());
}

#[test]
fn operations_are_named_once_and_describe_their_paths() {
    let names: BTreeSet<&str> = operations().iter().map(|operation| operation.id).collect();
    assert_eq!(names.len(), operations().len());
    for operation in operations() {
        assert!(!operation.summary.is_empty(), "{}", operation.id);
        let named: Vec<&str> = operation.path.split('/').filter(|segment| segment.starts_with('{')).collect();
        let described: Vec<String> =
            operation.path_parameters.iter().map(|(name, _)| format!("{{{name}}}")).collect();
        assert_eq!(named, described, "{}", operation.id);
        if let Some(body) = operation.body {
            serde_json::from_str::<serde_json::Value>(body.sample).unwrap();
        }
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document = openapi::document();
    let text = document.to_string();
    let references: BTreeSet<&str> =
        text.split(r##""$ref":"#"##).skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(!references.is_empty());
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn the_document_and_the_page_are_served_and_load_nothing() {
    let edge = edge(Cors::Deployed).await;
    let get = |target: &'static str| send(&edge, request("GET", target).body(Body::empty()).unwrap());
    let document = get("/api/v1/openapi.json").await;
    assert_eq!(document.checked(), 200);
    assert_eq!(document.json(), openapi::document());

    let page = get("/api/docs").await;
    assert_eq!(page.checked(), 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let text = page.text();
    for outside in ["http:", "https:", "//cdn", "src=", "@import", "url("] {
        assert!(!text.contains(outside), "the page contains {outside}");
    }
    // The policy allows what is in the page and nothing else.
    let policy = page.header("content-security-policy");
    for tag in ["script", "style"] {
        let (_, rest) = text.split_once(&format!("<{tag}>")).unwrap();
        let (inline, _) = rest.split_once(&format!("</{tag}>")).unwrap();
        let hash = STANDARD.encode(Sha256::digest(inline));
        assert!(policy.contains(&format!("{tag}-src 'sha256-{hash}'")), "{tag}: {policy}");
    }
    assert!(!policy.contains("unsafe"));
}
