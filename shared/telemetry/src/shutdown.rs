//! When the process was told to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a process that was told twice, as a shell reports an interrupted one.
const IMPATIENT: i32 = 130;

/// A token that the first SIGTERM or SIGINT cancels; the second ends the process at once.
///
/// Call once, inside the tokio runtime.
pub fn shutdown_signal() -> CancellationToken {
    let token = CancellationToken::new();
    let cancelled = token.clone();
    let mut terminate = listen(SignalKind::terminate());
    let mut interrupt = listen(SignalKind::interrupt());
    tokio::spawn(async move {
        let name = either(&mut terminate, &mut interrupt).await;
        tracing::info!(signal = name, "shutting down");
        cancelled.cancel();
        let name = either(&mut terminate, &mut interrupt).await;
        tracing::warn!(signal = name, "told again to stop: leaving work unfinished");
        std::process::exit(IMPATIENT);
    });
    token
}

fn listen(kind: SignalKind) -> Signal {
    signal(kind).expect("SIGTERM and SIGINT may be handled, and the runtime drives signals")
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
