//! The accept loop: how connections come in, how many there may be, and how the process leaves.
//!
//! Not `axum::serve`, which knows no limit on connections and no time by which a head must have arrived.

mod connection;
mod guarded;
mod listener;

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use listener::{Listening, Source};

use crate::edge::Edge;

/// Most connections at once.
pub const CONNECTIONS_MAX: usize = 512;
/// Most connections that are told at the same time that there are too many; others are just closed.
const REFUSALS_MAX: usize = 64;
/// How long to wait before accepting again when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// A socket of our own is served for this long after readiness went off: a balancer needs a moment to see it.
const GRACE: Duration = Duration::from_secs(2);
/// After that it is closed when nobody has come for this long …
const QUIET: Duration = Duration::from_millis(250);
/// … or after this long, whoever comes.
const LINGER_MAX: Duration = Duration::from_secs(2);
/// How long live connections have to make one more request, whose answer tells them to close.
const FAREWELL: Duration = Duration::from_secs(2);
/// This long after nobody new is taken whatever still runs is left.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// Serves until `shutdown`, then drains.
///
/// A request that reaches this process before it closes its connection is answered. First nobody new is
/// taken: a shared socket is simply left to the successor, whose queue it is as well, while a socket of our
/// own is served for two seconds more, and then until its queue is empty. From the beginning every answer
/// tells its connection to close, so that no client sends on a connection that is just being closed; those
/// that stay silent are closed two seconds later.
pub async fn serve(listening: Listening, edge: Arc<Edge>, shutdown: CancellationToken) {
    let server = Server {
        edge,
        permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
        connections: TaskTracker::new(),
        closing: CancellationToken::new(),
    };
    let Listening { listener, source } = listening;
    tokio::select! {
        () = server.accept_all(&listener) => {}
        () = shutdown.cancelled() => {}
    }
    match source {
        Source::Shared => {}
        Source::Bound => {
            tokio::select! {
                () = server.accept_all(&listener) => {}
                () = sleep(GRACE) => {}
            }
            server.accept_the_queue(&listener).await;
        }
    }
    drop(listener);
    server.drain(Instant::now() + DRAIN_DEADLINE).await;
}

struct Server {
    edge: Arc<Edge>,
    permits: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    connections: TaskTracker,
    /// Cancelled when silent connections are to be closed.
    closing: CancellationToken,
}

impl Server {
    async fn accept_all(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.take(stream),
                Err(error) => pause(&error).await,
            }
        }
    }

    /// Takes what already waits, until it is quiet.
    async fn accept_the_queue(&self, listener: &TcpListener) {
        let end = Instant::now() + LINGER_MAX;
        loop {
            match timeout_at(end.min(Instant::now() + QUIET), listener.accept()).await {
                Ok(Ok((stream, _))) => self.take(stream),
                Ok(Err(error)) => pause(&error).await,
                Err(_) => return,
            }
        }
    }

    fn take(&self, stream: TcpStream) {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            let connection = connection::serve(stream, Arc::clone(&self.edge), self.closing.clone());
            self.connections.spawn(async move {
                connection.await;
                drop(permit);
            });
        } else if let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() {
            metrics::counter!("http_connections_refused_total").increment(1);
            self.connections.spawn(async move {
                connection::refuse(stream).await;
                drop(permit);
            });
        }
    }

    async fn drain(&self, deadline: Instant) {
        self.connections.close();
        if timeout(FAREWELL, self.connections.wait()).await.is_err() {
            self.closing.cancel();
            if timeout_at(deadline, self.connections.wait()).await.is_err() {
                tracing::warn!(connections = self.connections.len(), "connections are left unfinished");
            }
        }
    }
}

/// What a client did to its own connection is no reason to wait; having no descriptors left is, as the next
/// attempt would fail as fast as this one.
async fn pause(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        tracing::warn!(%error, "could not accept a connection");
        sleep(ACCEPT_PAUSE).await;
    }
}
