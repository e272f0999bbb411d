//! What a service is told, and what it says when it is told wrong.

use std::{env, fs, process::Command};

use clap::Parser;
use secrecy::ExposeSecret;
use service_config::{
    BAD_CONFIGURATION, Database, Nats, Operations, OptionalSecret, SecretName, Stop, try_parse_from,
};

/// A stand-in for a service.
#[derive(Debug, Parser)]
struct Config {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    nats: Nats,
    #[command(flatten)]
    operations: Operations,
    #[command(flatten)]
    token: OptionalSecret<ProbeToken>,
}

struct ProbeToken;

impl SecretName for ProbeToken {
    const VARIABLE: &'static str = "PROBE_TOKEN";
    const HELP: &'static str = "Opens nothing";
}

const DATABASE: &str = "--database-url=postgres://syncer:canary-database@localhost/arcadia";
const NATS: [&str; 3] =
    ["--nats-url=nats://127.0.0.1:4222", "--nats-user=syncer", "--nats-password=canary-nats"];

fn parse(arguments: &[&str]) -> Result<Config, Stop> {
    try_parse_from([&["probe"], arguments].concat())
}

fn complete(more: &[&str]) -> Result<Config, Stop> {
    parse(&[&[DATABASE], &NATS[..], more].concat())
}

fn refused(arguments: &[&str]) -> String {
    let stop = parse(arguments).expect_err("the configuration was taken");
    assert_eq!(stop.code, BAD_CONFIGURATION, "{}", stop.message);
    assert!(!stop.message.contains("canary"), "a value was shown: {}", stop.message);
    stop.message
}

#[test]
fn a_complete_configuration_is_taken_and_shows_no_secret() {
    isolated("a_complete_configuration_is_taken_and_shows_no_secret", || {
        let config = complete(&["--probe-token=canary-token"]).unwrap();
        assert_eq!(config.nats.password.get().expose_secret(), "canary-nats");
        assert_eq!(config.token.get().unwrap().expose_secret(), "canary-token");
        assert!(config.database.url().expose_secret().contains("canary-database"));
        assert_eq!(config.operations.log_filter, "info");
        assert_eq!(config.operations.otlp_endpoint(), None);
        let shown = format!("{config:?}");
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("DATABASE_URL (redacted)"), "{shown}");
    });
}

#[test]
fn several_servers_of_a_cluster_may_be_named() {
    isolated("several_servers_of_a_cluster_may_be_named", || {
        let urls = "--nats-url=nats://a:4222,nats://b:4222";
        let config = parse(&[DATABASE, urls, NATS[1], NATS[2]]).unwrap();
        assert_eq!(config.nats.url, "nats://a:4222,nats://b:4222");
        refused(&[DATABASE, "--nats-url=nats://a:4222,nats:canary", NATS[1], NATS[2]]);
    });
}

#[test]
fn a_secret_may_stand_in_a_file_and_loses_its_newline() {
    isolated("a_secret_may_stand_in_a_file_and_loses_its_newline", || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "canary-nats\r\n").unwrap();
        let file = format!("--nats-password-file={}", path.display());
        let config = parse(&[DATABASE, NATS[0], NATS[1], &file]).unwrap();
        assert_eq!(config.nats.password.get().expose_secret(), "canary-nats");

        let both = refused(&[DATABASE, NATS[0], NATS[1], NATS[2], &file]);
        assert!(both.contains("NATS_PASSWORD and NATS_PASSWORD_FILE are both set"), "{both}");

        fs::write(&path, "\n").unwrap();
        let empty = refused(&[DATABASE, NATS[0], NATS[1], &file]);
        assert!(empty.contains("NATS_PASSWORD_FILE") && empty.contains("is empty"), "{empty}");

        let absent = refused(&[DATABASE, NATS[0], NATS[1], "--nats-password-file=/nowhere/at/all"]);
        assert!(absent.contains("NATS_PASSWORD_FILE: read /nowhere/at/all"), "{absent}");
    });
}

#[test]
fn an_optional_secret_left_empty_is_left_out() {
    isolated("an_optional_secret_left_empty_is_left_out", || {
        assert!(complete(&[]).unwrap().token.get().is_none());
        assert!(complete(&["--probe-token="]).unwrap().token.get().is_none());
    });
}

#[test]
fn what_is_wrong_is_named_and_never_quoted() {
    isolated("what_is_wrong_is_named_and_never_quoted", || {
        for (arguments, expected) in [
            (&[DATABASE, NATS[0], NATS[1]][..], "NATS_PASSWORD or NATS_PASSWORD_FILE must be set"),
            (&[DATABASE, NATS[1], NATS[2]], "NATS_URL"),
            (&[DATABASE, NATS[0], NATS[2]], "NATS_USER"),
            (&NATS, "DATABASE_URL or DATABASE_URL_FILE must be set"),
            (
                &["--database-url=mysql://canary@host", NATS[0], NATS[1], NATS[2]],
                "DATABASE_URL: must begin with",
            ),
            (&["--database-url=canary", NATS[0], NATS[1], NATS[2]], "DATABASE_URL: not a URL"),
            (&[DATABASE, "--nats-url=http://canary", NATS[1], NATS[2]], "NATS_URL>: must begin with nats://"),
            (
                &[DATABASE, "--nats-url=nats://a:canary@b", NATS[1], NATS[2]],
                "NATS_URL>: must not contain a user",
            ),
            (&["--nats-passwort=canary"], "--help"),
        ] {
            let message = refused(arguments);
            assert!(message.contains(expected), "{arguments:?}: {message}");
        }
        for (more, expected) in [
            ("--ops-addr=canary", "OPS_ADDR>: invalid socket address"),
            ("--rust-log=canary=nolevel", "RUST_LOG>: "),
            (
                "--otel-exporter-otlp-endpoint=http://u:canary@h",
                "OTEL_EXPORTER_OTLP_ENDPOINT>: must not contain",
            ),
        ] {
            let message = refused(&[&[DATABASE], &NATS[..], &[more]].concat());
            assert!(message.contains(expected), "{more}: {message}");
        }
    });
}

#[test]
fn help_documents_every_setting() {
    let stop = parse(&["--help"]).unwrap_err();
    assert_eq!(stop.code, 0);
    for name in [
        "DATABASE_URL",
        "DATABASE_URL_FILE",
        "NATS_URL",
        "NATS_USER",
        "NATS_PASSWORD",
        "NATS_PASSWORD_FILE",
        "OPS_ADDR",
        "RUST_LOG",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "PROBE_TOKEN",
        "PROBE_TOKEN_FILE",
    ] {
        assert!(stop.message.contains(&format!("[env: {name}")), "{name} is missing: {}", stop.message);
    }
}

/// As a process of its own, below: reads the environment and exits as a service does.
#[test]
fn probe() {
    if env::var_os("SERVICE_CONFIG_PROBE").is_some() {
        // The process's own arguments are the test runner's.
        match try_parse_from::<Config>(["probe"]) {
            Ok(_) => std::process::exit(0),
            Err(stop) => {
                eprint!("{}", stop.message);
                std::process::exit(stop.code);
            }
        }
    }
}

#[test]
fn the_environment_is_read_and_bad_configuration_exits_64() {
    let run = |database_url: &str| {
        let output = this_test_binary("probe")
            .env("SERVICE_CONFIG_PROBE", "1")
            .env("DATABASE_URL", database_url)
            .env("NATS_URL", "nats://127.0.0.1:4222")
            .env("NATS_USER", "syncer")
            .env("NATS_PASSWORD", "canary-nats")
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run("postgres://syncer:canary@localhost/arcadia").0, Some(0));
    let (code, message) = run("canary");
    assert_eq!(code, Some(64), "{message}");
    assert!(message.contains("DATABASE_URL: not a URL"), "{message}");
    assert!(!message.contains("canary"), "{message}");
}

/// One test of this binary in a process without environment.
fn this_test_binary(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env_clear();
    command
}

/// Runs a test's body in a process without environment, as a developer's own settings would be read too.
fn isolated(test: &str, body: impl FnOnce()) {
    if env::var_os("SERVICE_CONFIG_ISOLATED").is_some() {
        return body();
    }
    let output = this_test_binary(test).env("SERVICE_CONFIG_ISOLATED", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
}
