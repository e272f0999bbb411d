//! One connection, from accept to close.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::body::Body;
use http::{Request, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};
use tokio_util::sync::CancellationToken;

use super::guarded::Guarded;
use crate::edge::{self, Edge};

/// How long a head may take to arrive, and how long a connection may be silent between requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// What the library buffers of one head. Above our own limit, so that it is mostly we who refuse a large one.
const READ_BUFFER_BYTES_MAX: usize = 32 * 1024;
/// How long a refused connection has to take the refusal.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves one connection until it ends, or `closing` tells it to end after the request in hand.
pub(super) async fn serve(stream: TcpStream, edge: Arc<Edge>, closing: CancellationToken) {
    // Answers are small and whole; waiting to fill a packet would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended before it began");
        return;
    }
    let service = service_fn(move |request: Request<Incoming>| {
        let edge = Arc::clone(&edge);
        async move { Ok::<_, Infallible>(edge.answer(request.map(Body::new)).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(READ_BUFFER_BYTES_MAX);
    let mut connection = pin!(http.serve_connection(TokioIo::new(Guarded::new(stream)), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients hang up, stall and send nonsense; none of it is ours to mend.
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Tells a connection that there are too many.
pub(super) async fn refuse(stream: TcpStream) {
    let mut stream = Guarded::new(stream);
    let told = async {
        stream.write_all(&edge::bare_refusal(StatusCode::SERVICE_UNAVAILABLE)).await?;
        stream.shutdown().await
    };
    if !matches!(timeout(REFUSAL_TIMEOUT, told).await, Ok(Ok(()))) {
        tracing::debug!("a connection too many did not wait to be told");
    }
}
