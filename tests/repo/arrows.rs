//! Dependencies that must never exist, from `cargo metadata` and from `use` lines.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};
use regex::Regex;

use crate::sources::{root, rust_files};

/// Package → its ordinary (not dev) dependencies; and the folder it lies in.
fn packages() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec().expect("cargo metadata runs");
    let root = root();
    metadata
        .packages
        .into_iter()
        .map(|package| {
            let folder = package.manifest_path.parent().expect("a manifest lies in a folder");
            let folder =
                folder.as_std_path().strip_prefix(&root).expect("below the root").display().to_string();
            let ordinary = package
                .dependencies
                .into_iter()
                .filter(|d| d.kind != DependencyKind::Development)
                .map(|d| d.name);
            (package.name.to_string(), (folder, ordinary.collect()))
        })
        .collect()
}

#[test]
fn packages_depend_only_where_they_may() {
    let packages = packages();
    let services: BTreeSet<&String> = packages
        .iter()
        .filter(|(_, (folder, _))| folder.starts_with("services/"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(services.len(), 5);
    let mut wrong = Vec::new();
    for (name, (folder, dependencies)) in &packages {
        for dependency in dependencies {
            let forbidden = match dependency.as_str() {
                service if services.iter().any(|name| *name == service) => !folder.starts_with("tests"),
                "async-nats" => !["messaging", "arcadia-tests"].contains(&name.as_str()),
                "test-support" => true,
                "messaging" | "sqlx" | "axum" | "tokio" | "reqwest" => name == "contracts",
                _ => false,
            };
            if forbidden {
                wrong.push(format!("{name} → {dependency}"));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that must not exist: {wrong:#?}");
}

/// In files whose path holds `place`, no line may match.
fn check(place: &str, forbidden: &str, why: &str) {
    let pattern = Regex::new(forbidden).expect("a good pattern");
    let mut looked_at = 0;
    let mut wrong = Vec::new();
    for (file, text) in rust_files("services") {
        if !file.contains(place) {
            continue;
        }
        looked_at += 1;
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if pattern.is_match(code) {
                wrong.push(format!("{file}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(looked_at > 0, "no file lies in {place}");
    assert!(wrong.is_empty(), "{why}: {wrong:#?}");
}

#[test]
fn the_domain_is_pure() {
    check(
        "/domain/",
        r"\b(sqlx|async_nats|axum|tokio|reqwest|std::env|messaging)\b|crate::(handlers|store|provider|config)|\bnow\(\)|\basync fn\b",
        "domain/ decides over values: no clock, no database, no network",
    );
}

#[test]
fn stores_do_not_know_who_calls_them() {
    check("/store/", r"crate::(handlers|provider)", "store/ is below handlers/ and provider/");
}

#[test]
fn handlers_do_not_call_each_other() {
    let pattern = Regex::new(r"crate::handlers::\w+|super::\w+::").expect("a good pattern");
    let wrong: Vec<String> = rust_files("services")
        .into_iter()
        .filter(|(file, _)| file.contains("/handlers/") && !file.ends_with("/mod.rs"))
        .filter(|(_, text)| {
            text.lines().any(|line| pattern.is_match(line.split("//").next().unwrap_or_default()))
        })
        .map(|(file, _)| file)
        .collect();
    assert!(wrong.is_empty(), "shared steps belong in domain or store: {wrong:#?}");
}

#[test]
fn configuration_is_read_once() {
    let pattern = Regex::new(r"\benv::var|std::env::\w+").expect("a good pattern");
    let wrong: Vec<String> = rust_files("services")
        .into_iter()
        .filter(|(file, _)| file.contains("/src/"))
        .filter(|(_, text)| {
            text.lines().any(|line| pattern.is_match(line.split("//").next().unwrap_or_default()))
        })
        .map(|(file, _)| file)
        .collect();
    assert!(wrong.is_empty(), "configuration comes from service-config: {wrong:#?}");
}
