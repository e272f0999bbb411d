//! Waiting for what is asynchronous, with a deadline and the reason when it passes.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// Asks until the answer is `Ok`, every 50 ms for 20 s, and panics with the last `Err`.
pub async fn eventually<T, E: Debug>(what: &str, ask: impl AsyncFnMut() -> Result<T, E>) -> T {
    within(Duration::from_secs(20), what, ask).await
}

/// Asks until the answer is `Ok`, every 50 ms until the limit, and panics with the last `Err`.
pub async fn within<T, E: Debug>(
    limit: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) if begun.elapsed() > limit => panic!("{what} did not happen in {limit:?}: {error:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
