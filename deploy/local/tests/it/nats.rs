//! A nats-server through its life.

use local::nats::{NatsServer, Options};
use serde_json::Value;
use std::path::Path;

async fn start(dir: &Path) -> NatsServer {
    NatsServer::start(dir, Options::default()).await.unwrap()
}

async fn monitor(server: &NatsServer, path: &str) -> Value {
    reqwest::get(format!("{}/{path}", server.monitor_url())).await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn it_stops_restarts_on_its_port_and_can_be_wiped() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = start(dir.path()).await;
    let url = server.url();
    let pid = server.pid().unwrap();

    server.stop().await;
    assert!(!local::process::is_alive(pid), "it is reaped");
    server.restart().await.unwrap();
    assert_eq!(server.url(), url);

    server.kill().await;
    server.restart().await.unwrap();
    assert_eq!(server.url(), url);

    assert!(server.store_dir().is_dir());
    server.wipe().await.unwrap();
    assert!(!server.store_dir().exists());
    server.restart().await.unwrap();
    assert_eq!(server.url(), url);
    assert!(server.store_dir().is_dir());
}

#[tokio::test]
async fn acknowledged_messages_are_synced_and_users_must_log_in() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path()).await;
    let jetstream = monitor(&server, "jsz").await;
    assert_eq!(jetstream["config"]["sync_always"], true, "{jetstream}");
    assert_eq!(
        jetstream["config"]["store_dir"].as_str().map(|d| Path::new(d).starts_with(server.store_dir())),
        Some(true),
        "{jetstream}"
    );
    let variables = monitor(&server, "varz").await;
    assert_eq!(variables["auth_required"], true, "{variables}");
    assert_eq!(variables["host"], "127.0.0.1", "{variables}");
}
