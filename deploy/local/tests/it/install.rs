//! Finding the servers, with the places to look in as values.

use local::install::{InstallError, NatsLookup, PostgresLookup, ensure_nats_server, ensure_postgres};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn program(dir: &Path, name: &str, prints: &str) {
    let file = dir.join(name);
    fs::write(&file, format!("#!/bin/sh\necho '{prints}'\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

fn nats_lookup(cache: &Path) -> NatsLookup {
    NatsLookup { override_bin: None, path: Vec::new(), cache: cache.to_owned() }
}

#[test]
fn with_an_empty_path_and_cache_no_nats_server_is_found() {
    let cache = tempfile::tempdir().unwrap();
    assert_eq!(nats_lookup(cache.path()).find().unwrap(), None);
}

#[test]
fn an_old_nats_server_in_path_is_passed_over_for_the_cached_one() {
    let dir = tempfile::tempdir().unwrap();
    program(dir.path(), "nats-server", "nats-server: v2.9.10");
    let mut lookup = nats_lookup(dir.path());
    lookup.path = vec![dir.path().to_owned()];
    assert_eq!(lookup.find().unwrap(), None);

    let cached = lookup.cached_bin();
    fs::create_dir_all(cached.parent().unwrap()).unwrap();
    program(cached.parent().unwrap(), "nats-server", "nats-server: v2.15.1");
    assert_eq!(lookup.find().unwrap(), Some(cached));

    program(dir.path(), "nats-server", "nats-server: v2.14.0");
    assert_eq!(lookup.find().unwrap(), Some(dir.path().join("nats-server")));
}

#[test]
fn a_nats_server_that_the_user_insists_on_must_be_new_enough() {
    let dir = tempfile::tempdir().unwrap();
    program(dir.path(), "mine", "nats-server: v2.9.10");
    let lookup = NatsLookup { override_bin: Some(dir.path().join("mine")), ..nats_lookup(dir.path()) };
    let error = lookup.find().unwrap_err();
    assert!(matches!(error, InstallError::Override { variable: "NATS_SERVER_BIN", .. }), "{error}");
    assert!(error.to_string().ends_with("it is version 2.9, and 2.14 is needed"), "{error}");
}

#[test]
fn postgres_is_taken_from_the_newest_complete_installation() {
    let dir = tempfile::tempdir().unwrap();
    for (version, prints) in [
        ("14", "postgres (PostgreSQL) 14.1"),
        ("15", "postgres (PostgreSQL) 15.18"),
        ("17", "postgres (PostgreSQL) 17.2"),
    ] {
        let bin = dir.path().join(version).join("bin");
        fs::create_dir_all(&bin).unwrap();
        for name in ["initdb", "postgres", "pg_ctl"] {
            program(&bin, name, prints);
        }
    }
    let mut lookup = PostgresLookup { override_dir: None, path: Vec::new(), versions: dir.path().to_owned() };
    assert_eq!(lookup.find().unwrap().unwrap().dir, dir.path().join("17/bin"));

    fs::remove_file(dir.path().join("17/bin/initdb")).unwrap();
    assert_eq!(lookup.find().unwrap().unwrap().dir, dir.path().join("15/bin"));

    lookup.override_dir = Some(dir.path().join("14/bin"));
    let error = lookup.find().unwrap_err();
    assert!(error.to_string().ends_with("it is version 14, and 15 is needed"), "{error}");

    let nowhere = PostgresLookup { override_dir: None, path: Vec::new(), versions: dir.path().join("none") };
    assert_eq!(nowhere.find().unwrap(), None);
}

#[test]
fn what_is_missing_gets_installed() {
    let bin = ensure_nats_server().unwrap();
    assert!(bin.is_file(), "{}", bin.display());
    let postgres = ensure_postgres().unwrap();
    assert!(postgres.program("initdb").is_file(), "{}", postgres.dir.display());
}
