//! Bad configuration: what is wrong, exit 64, no socket.

use std::process::{Command, Output};

use crate::support::SECRET;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway-api");

fn run(variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(GATEWAY);
    command.env_clear().envs([
        ("NATS_URL", "nats://127.0.0.1:9"),
        ("NATS_USER", "gateway-api"),
        ("NATS_PASSWORD", "none"),
        // Should anything be taken for good after all, it fails here rather than run on.
        ("HTTP_ADDR", "192.0.2.1:1"),
    ]);
    command.envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn a_gateway_that_cannot_be_safe_does_not_start() {
    for (variables, word) in [
        (vec![], "JWT_SECRET"),
        (vec![("JWT_SECRET", "secret")], "well-known"),
        (vec![("JWT_SECRET", "too-short-to-be-any-good")], "shorter"),
        (vec![("JWT_SECRET", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")], "repeated"),
        (vec![("JWT_SECRET", SECRET), ("JWT_SECRET_PREVIOUS", "changeme")], "well-known"),
        (vec![("JWT_SECRET", SECRET), ("JWT_LEEWAY_SECONDS", "61")], "JWT_LEEWAY_SECONDS"),
        (vec![("JWT_SECRET", SECRET), ("LISTEN_FD", "3")], "LISTEN_FD"),
        (vec![("JWT_SECRET", SECRET), ("NATS_URL", "nowhere")], "NATS_URL"),
        (vec![("JWT_SECRET_FILE", "/nonexistent")], "JWT_SECRET_FILE"),
    ] {
        let output = run(&variables);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{variables:?}: {said}");
        assert!(said.contains(word), "{variables:?}: {said}");
        assert!(!said.contains(SECRET) && !said.contains("too-short-to"), "{said}");
    }
}

#[test]
fn help_names_every_setting_and_no_secret() {
    let output = Command::new(GATEWAY).arg("--help").env("JWT_SECRET", SECRET).output().unwrap();
    let help = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    for name in [
        "HTTP_ADDR",
        "LISTEN_FD",
        "JWT_SECRET_FILE",
        "JWT_SECRET_PREVIOUS",
        "JWT_ISSUER",
        "JWT_AUDIENCE",
        "CORS_DEV",
        "NATS_URL",
        "OPS_ADDR",
    ] {
        assert!(help.contains(name), "{name}");
    }
    assert!(!help.contains(SECRET));
}
