//! The operations port: is it alive, is it ready, and what does it count.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, extract::State, http::StatusCode, http::header::CONTENT_TYPE, routing::get};
use serde::Serialize;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::METRICS;

/// How often histograms that nobody scraped are folded, so that they do not grow.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

type Check = dyn Fn() -> Result<(), String> + Send + Sync;

/// What must hold for this process to be given work. Clones share one set.
#[derive(Clone, Default)]
pub struct Readiness {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    checks: RwLock<Vec<(&'static str, Box<Check>)>>,
    draining: AtomicBool,
}

/// A thing that is missing for the process to be ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The check that failed, or `draining`.
    pub name: &'static str,
    /// What it said.
    pub why: String,
}

impl Readiness {
    /// Not ready until there is something to check: a process that checks nothing yet is still starting.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check. It runs at every question, so it must answer from memory: a check that asks a server
    /// keeps its last answer.
    pub fn check(&self, name: &'static str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.shared
            .checks
            .write()
            .expect("no check panics while the list is being changed")
            .push((name, Box::new(check)));
    }

    /// From now on not ready, whatever the checks say: the process is about to end.
    pub fn drain(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
    }

    /// What is missing; empty when ready.
    pub fn missing(&self) -> Vec<Missing> {
        let checks = self.shared.checks.read().expect("nothing panics while the list is being changed");
        let starting = checks.is_empty().then(|| Missing { name: "start", why: "starting".to_owned() });
        let draining = self.shared.draining.load(Ordering::Relaxed);
        let draining = draining.then(|| Missing { name: "draining", why: "shutting down".to_owned() });
        let failed = checks.iter().filter_map(|(name, check)| check().err().map(|why| Missing { name, why }));
        starting.into_iter().chain(draining).chain(failed).collect()
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("missing", &self.missing()).finish()
    }
}

/// Serves `/livez`, `/readyz` and `/metrics` until `shutdown`; returns the address it listens on.
pub async fn serve(
    addr: SocketAddr,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    tracing::info!(operations.addr = %addr, "operations port is open");
    let app = router(readiness);
    let task = tokio::spawn(async move {
        let stopped = shutdown.clone();
        let server = axum::serve(listener, app).with_graceful_shutdown(stopped.cancelled_owned());
        tokio::select! {
            served = server => if let Err(error) = served {
                tracing::error!(%error, "operations port failed");
            },
            () = upkeep() => {}
        }
    });
    Ok((addr, task))
}

async fn upkeep() {
    let mut ticks = tokio::time::interval(UPKEEP_EVERY);
    loop {
        ticks.tick().await;
        if let Some(metrics) = METRICS.get() {
            metrics.run_upkeep();
        }
    }
}

fn router(readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .with_state(readiness)
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    missing: Vec<Missing>,
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, Json<Ready>) {
    let missing = readiness.missing();
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready: missing.is_empty(), missing }))
}

async fn render() -> ([(axum::http::HeaderName, &'static str); 1], String) {
    let text = METRICS.get().map(|metrics| metrics.render()).unwrap_or_default();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn ask(readiness: &Readiness, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(readiness.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_names_what_is_missing_and_draining_wins() {
        let readiness = Readiness::new();
        let starting = r#"{"ready":false,"missing":[{"name":"start","why":"starting"}]}"#;
        assert_eq!(ask(&readiness, "/readyz").await, (503, starting.to_owned()));

        let connected = Arc::new(AtomicBool::new(false));
        let seen = connected.clone();
        readiness.check("nats", move || match seen.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err("not connected".to_owned()),
        });
        let missing = r#"{"ready":false,"missing":[{"name":"nats","why":"not connected"}]}"#;
        assert_eq!(ask(&readiness, "/readyz").await, (503, missing.to_owned()));

        connected.store(true, Ordering::Relaxed);
        assert_eq!(ask(&readiness, "/readyz").await, (200, r#"{"ready":true,"missing":[]}"#.to_owned()));
        readiness.drain();
        let draining = r#"{"ready":false,"missing":[{"name":"draining","why":"shutting down"}]}"#;
        assert_eq!(ask(&readiness, "/readyz").await, (503, draining.to_owned()));
        assert_eq!(ask(&readiness, "/livez").await, (200, "alive\n".to_owned()));
    }

    #[tokio::test]
    async fn the_port_closes_when_told() {
        let shutdown = CancellationToken::new();
        let local = "127.0.0.1:0".parse().unwrap();
        let (addr, task) = serve(local, Readiness::new(), shutdown.clone()).await.unwrap();
        assert_ne!(addr.port(), 0);
        shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(5), task).await.unwrap().unwrap();
    }
}
