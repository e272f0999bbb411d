//! A process set up as a service sets it up: one test, as there is one log, one recorder and one exporter in a
//! process.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};
use tokio_util::sync::CancellationToken;

type Collected = Arc<Mutex<Vec<(String, Bytes)>>>;

async fn collect(State(collected): State<Collected>, headers: HeaderMap, body: Bytes) {
    let content_type = headers["content-type"].to_str().unwrap().to_owned();
    collected.lock().await.push((content_type, body));
}

async fn get(addr: std::net::SocketAddr, path: &str) -> String {
    let mut connection = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_reach_the_collector_and_metrics_the_operations_port() {
    let collected = Collected::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/", listener.local_addr().unwrap());
    let app = Router::new().route("/v1/traces", post(collect)).with_state(collected.clone());
    let collector = tokio::spawn(async move { axum::serve(listener, app).await });

    let telemetry = telemetry::init("probe", "warn", Some(&endpoint)).unwrap();

    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let span = tracing::info_span!("handle", message.subject = "canary-subject");
    telemetry::propagation::set_parent(&span, parent);
    let sent = span.in_scope(telemetry::propagation::current_traceparent).unwrap();
    assert!(sent.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{sent}");
    drop(span);
    telemetry.shutdown().await;

    let collected = collected.lock().await;
    let (content_type, body) =
        collected.first().expect("the collector got the span before shutdown returned");
    assert_eq!(content_type, "application/x-protobuf");
    let text = String::from_utf8_lossy(body);
    assert!(text.contains("probe") && text.contains("canary-subject"), "the span is not in what was sent");
    assert_eq!(collected.len(), 1, "sending the span was itself traced");
    collector.abort();

    let panicked = tokio::spawn(async { panic!("canary-panic") }).await;
    assert!(panicked.is_err());
    let shutdown = CancellationToken::new();
    let readiness = telemetry::operations::Readiness::new();
    let any = "127.0.0.1:0".parse().unwrap();
    let (addr, operations) = telemetry::operations::serve(any, readiness, shutdown.clone()).await.unwrap();
    metrics::histogram!("probe_seconds").record(0.003);
    let metrics = get(addr, "/metrics").await;
    assert!(metrics.contains(r#"panics_total{service="probe"} 1"#), "{metrics}");
    assert!(metrics.contains(r#"probe_seconds_bucket{service="probe",le="0.005"} 1"#), "{metrics}");
    assert!(!metrics.contains("canary"), "{metrics}");
    assert!(get(addr, "/readyz").await.starts_with("HTTP/1.1 503"));
    assert!(get(addr, "/livez").await.starts_with("HTTP/1.1 200"));
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(5), operations).await.unwrap().unwrap();
}
