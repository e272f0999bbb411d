//! The sockets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::options::Options;
use crate::world::World;
use crate::{control, intake};

/// Why the simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not ours.
    #[error("listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// The world and the secret, shared by all connections.
#[derive(Clone)]
pub struct Shared(Arc<(Mutex<World>, String)>);

impl Shared {
    /// The world. A panic of another holder leaves it as it was between two statements.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What callers sign their tokens with.
    pub fn secret(&self) -> &str {
        &self.0.1
    }
}

/// A simulator that runs until it is dropped.
#[derive(Debug)]
pub struct Simulator {
    url: String,
    control_url: String,
    tasks: JoinSet<()>,
}

impl Simulator {
    /// Opens both ports and serves.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let shared = Shared(Arc::new((Mutex::default(), options.jwt_secret)));
        let api = Router::new()
            .route("/api/v1/integrations/cloud/import-invoice", post(intake::invoice))
            .route("/api/v1/integrations/cloud/import-receivable", post(intake::receivable))
            .with_state(shared.clone());
        let mut tasks = JoinSet::new();
        let url = serve(&mut tasks, options.addr, api).await?;
        let control_url = serve(&mut tasks, options.control_addr, control::router(shared)).await?;
        Ok(Self { url, control_url, tasks })
    }

    /// Scheme, host and port of the API.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Scheme, host and port of the control port.
    pub fn control_url(&self) -> &str {
        &self.control_url
    }

    /// Closes everything.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn serve(tasks: &mut JoinSet<()>, addr: SocketAddr, router: Router) -> Result<String, StartError> {
    let failed = |source| StartError::Listen { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let url = format!("http://{}", listener.local_addr().map_err(failed)?);
    tasks.spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "port ended");
        }
    });
    Ok(url)
}
