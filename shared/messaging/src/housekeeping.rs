//! Forgets what is old enough: outbox rows that no stream keeps any more and inbox rows that no message can
//! meet again. In bounded batches, so that nothing waits for it.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often.
const EVERY: Duration = Duration::from_secs(3600);
/// Rows per statement.
const BATCH: i64 = 5_000;
/// Streams keep events for 90 days; the outbox must be able to rebuild them, with a week to notice.
const OUTBOX_DAYS: i32 = 97;
/// Money can be asked about for a year, and a month more.
const INBOX_DAYS: i32 = 396;

pub(crate) async fn run(pool: PgPool, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        match forget(&pool, &shutdown).await {
            Ok(0) => {}
            Ok(rows) => info!(rows, "forgot old messages"),
            Err(error) => warn!(%error, "could not forget old messages"),
        }
    }
}

async fn forget(pool: &PgPool, shutdown: &CancellationToken) -> Result<u64, sqlx::Error> {
    let mut total = 0;
    loop {
        let outbox = sqlx::query!(
            "delete from outbox where id in (
               select id from outbox
               where created_at < now() - make_interval(days => $1)
                 and not exists (select from outbox_unpublished u where u.id = outbox.id)
               limit $2)",
            OUTBOX_DAYS,
            BATCH,
        )
        .execute(pool)
        .await?
        .rows_affected();
        let inbox = sqlx::query!(
            "delete from inbox where ctid = any (array(
               select ctid from inbox where received_at < now() - make_interval(days => $1) limit $2))",
            INBOX_DAYS,
            BATCH,
        )
        .execute(pool)
        .await?
        .rows_affected();
        total += outbox + inbox;
        if outbox + inbox == 0 || shutdown.is_cancelled() {
            return Ok(total);
        }
    }
}
