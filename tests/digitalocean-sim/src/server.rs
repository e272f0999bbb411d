//! The sockets: the API port, the control port, and the file that keeps the account.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::build;
use crate::clock::Clock;
use crate::control;
use crate::delivery::{Body, Cut, respond};
use crate::demo;
use crate::options::Options;
use crate::rejected::Rejected;
use crate::state::Account;
use crate::world::{Asked, World};

/// A request's body at most; the largest legitimate one is a droplet with its user data.
const BODY_MAX: usize = 1 << 20;
/// A change is on disk after this long at most.
const SAVE_EVERY: Duration = Duration::from_millis(300);

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
    /// The state file cannot be read.
    #[error("read state file {path}")]
    ReadState {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The state file is no JSON.
    #[error("parse state file {path}")]
    ParseState {
        /// The file.
        path: PathBuf,
        /// Where it is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The state file is no account.
    #[error("load state")]
    LoadState(#[from] Rejected),
}

/// The world, shared by all connections.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Mutex<World>>);

impl Shared {
    /// The world. A panic of another holder leaves it as it was between two statements.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A simulator that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Simulator {
    url: String,
    control_url: String,
    shared: Shared,
    state: Option<PathBuf>,
    tasks: JoinSet<()>,
}

impl Simulator {
    /// Loads or makes the account, opens both ports and serves.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let clock = Clock::start(options.time_scale);
        let account = first_account(&options, &clock)?;
        account.warm();
        let shared = Shared(Arc::new(Mutex::new(World::new(&options, account, clock))));
        let (api, url) = listen(options.addr).await?;
        let (control, control_url) = listen(options.control_addr).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(api, shared.clone()));
        let router = control::router(shared.clone());
        tasks.spawn(async move {
            if let Err(error) = axum::serve(control, router).await {
                tracing::error!(%error, "control port ended");
            }
        });
        if let Some(path) = options.state.clone() {
            tasks.spawn(keep_saved(shared.clone(), path));
        }
        Ok(Self { url, control_url, shared, state: options.state, tasks })
    }

    /// Scheme, host and port of the API.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Scheme, host and port of the control port.
    pub fn control_url(&self) -> &str {
        &self.control_url
    }

    /// For tests in the same process.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Closes everything and saves the account.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        if let Some(path) = &self.state {
            save(&self.shared, path);
        }
    }
}

fn first_account(options: &Options, clock: &Clock) -> Result<Account, StartError> {
    if let Some(path) = &options.state {
        match std::fs::read(path) {
            Ok(text) => {
                let state = serde_json::from_slice(&text)
                    .map_err(|source| StartError::ParseState { path: path.clone(), source })?;
                return Ok(build::account(&state, options.seed, clock.now())?);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(StartError::ReadState { path: path.clone(), source }),
        }
    }
    if options.demo {
        return Ok(demo::account(options.seed)?);
    }
    Ok(Account::empty(options.seed, clock.now()))
}

async fn listen(addr: SocketAddr) -> Result<(TcpListener, String), StartError> {
    let failed = |source| StartError::Listen { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, format!("http://{bound}")))
}

async fn accept(listener: TcpListener, shared: Shared) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(connections.spawn(serve(stream, shared.clone()))),
            // Too many open files, say; the next attempt may fare better.
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Serves one connection. Where a fault cuts it, the peer sees a reset rather than an orderly end.
async fn serve(stream: TcpStream, shared: Shared) {
    drop(stream.set_nodelay(true));
    let service = service_fn(|request| Box::pin(handle(&shared, request)));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let stream = connection.into_parts().io.into_inner();
    if ended.is_err() {
        drop(stream.set_zero_linger());
    }
}

async fn handle(shared: &Shared, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    let (head, body) = request.into_parts();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let host = header("host").map_or_else(|| "127.0.0.1".to_owned(), str::to_owned);
    let token = header("authorization").and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
    let asked = Asked {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        token,
        base: format!("http://{host}"),
        body: Limited::new(body, BODY_MAX).collect().await.map_err(|_| Cut)?.to_bytes(),
    };
    let reply = shared.world().answer(&asked);
    if reply.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(reply.delay_ms)).await;
    }
    respond(reply.delivery, &reply.rate).await
}

async fn keep_saved(shared: Shared, path: PathBuf) {
    loop {
        tokio::time::sleep(SAVE_EVERY).await;
        let changed = {
            let mut world = shared.world();
            world.settle();
            world.changed
        };
        if changed {
            save(&shared, &path);
        }
    }
}

/// Writes beside the file and renames, so that a crash leaves the old state or the new.
fn save(shared: &Shared, path: &Path) {
    let state = {
        let mut world = shared.world();
        world.changed = false;
        world.to_state()
    };
    let beside = path.with_extension("tmp");
    let written = std::fs::write(&beside, state.to_string()).and_then(|()| std::fs::rename(&beside, path));
    if let Err(error) = written {
        tracing::error!(%error, path = %path.display(), "save state");
    }
}
