//! Sends the outbox: one publisher per schema, in id order, at least once, the same id and bytes each time.

use std::{collections::BTreeMap, future::Future, time::Duration};

use bytes::Bytes;
use contracts::{Service, streams::Stream, subject};
use sqlx::{
    ConnectOptions, Connection, PgConnection,
    postgres::{PgConnectOptions, PgListener},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    batch::{self, Outgoing, PublishError},
    connection::Nats,
    consume, failpoint,
};

/// How often the outbox is looked at without being told to.
const POLL: Duration = Duration::from_secs(1);
/// Between attempts after a failure.
const RETRY: Duration = Duration::from_millis(250);
/// Between attempts of a standby to become the publisher.
const STANDBY: Duration = Duration::from_millis(500);
/// Rows per round: one atomic batch.
const ROUND: i64 = batch::BATCH_MAX as i64;
/// Messages in one go after which more are waited for, and how long.
const BUSY: usize = 64;
const PATIENCE: Duration = Duration::from_millis(75);
/// How long Postgres may take over one round.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);
/// First half of the advisory lock's key, so that it meets nobody else's.
const LOCK_CLASS: i32 = 0x0a0b;

struct Row {
    id: i64,
    stream: Option<Stream>,
    message: Outgoing,
}

#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error("read or mark the outbox")]
    Database(#[from] sqlx::Error),
    #[error("publish the outbox")]
    Publish(#[from] PublishError),
}

/// Publishes `service`'s outbox until `shutdown`. Any number of replicas may run it: the one that holds the
/// session's advisory lock works, and the moment its session ends another takes over.
pub async fn run(service: Service, database: PgConnectOptions, nats: Nats, shutdown: CancellationToken) {
    loop {
        let session = publish_while_leading(service, &database, &nats, &shutdown);
        tokio::select! {
            () = shutdown.cancelled() => return,
            ended = session => {
                if let Err(error) = ended {
                    warn!(error = %consume::chain(&error), "the outbox publisher starts over");
                }
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn publish_while_leading(
    service: Service,
    database: &PgConnectOptions,
    nats: &Nats,
    shutdown: &CancellationToken,
) -> Result<(), RoundError> {
    // Reads and marks go over the connection that holds the lock: whoever lost the lock cannot mark.
    let mut connection = database.connect().await?;
    while !sqlx::query_scalar!(
        r#"select pg_try_advisory_lock($1, hashtext('outbox ' || current_schema())) as "locked!""#,
        LOCK_CLASS,
    )
    .fetch_one(&mut connection)
    .await?
    {
        tokio::time::sleep(STANDBY).await;
    }
    info!(service = service.name(), "publishing the outbox");
    let mut listener = PgListener::connect_with(&pool_of_one(database)).await?;
    listener.listen(&format!("outbox_{}", service.sql_name())).await?;

    while !shutdown.is_cancelled() {
        // Much at once means that more is on its way: a moment's patience makes the next round a fuller batch.
        if drain(&mut connection, nats).await? >= BUSY {
            tokio::time::sleep(PATIENCE).await;
            continue;
        }
        // The listener reconnects silently and loses what was said meanwhile, hence the poll.
        match tokio::time::timeout(POLL, listener.recv()).await {
            Ok(heard) => {
                heard?;
            }
            Err(_elapsed) => {}
        }
    }
    connection.close().await?;
    Ok(())
}

fn pool_of_one(database: &PgConnectOptions) -> sqlx::PgPool {
    sqlx::postgres::PgPoolOptions::new().max_connections(1).connect_lazy_with(database.clone())
}

/// Publishes until nothing is left, and says how much that was. While a round is on its way the one before is marked and the next is read.
async fn drain(connection: &mut PgConnection, nats: &Nats) -> Result<usize, RoundError> {
    let mut total = 0;
    let mut rows = timely(fetch(connection, 0)).await?;
    let mut published: Vec<i64> = Vec::new();
    while !rows.is_empty() {
        failpoint::reach("outbox.read");
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let last = ids.last().copied().unwrap_or_default();
        let full = rows.len() == usize::try_from(ROUND).unwrap_or(usize::MAX);
        let mark_and_read = async {
            timely(mark(connection, &published)).await?;
            // A short round means that the end was reached; a late commit below `last` is found next time.
            if full { timely(fetch(connection, last)).await } else { Ok(Vec::new()) }
        };
        let (sent, next) = tokio::join!(send(nats, rows), mark_and_read);
        match sent {
            Ok(()) => {
                failpoint::reach("outbox.published");
                published = ids;
                total += published.len();
            }
            Err(error) => return Err(error.into()),
        }
        metrics::counter!("outbox_published_total").increment(published.len() as u64);
        debug!(count = published.len(), "published");
        rows = next?;
    }
    timely(mark(connection, &published)).await?;
    Ok(total)
}

/// A session whose server is silent is given up, so that another publisher can take over.
async fn timely<T>(query: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(QUERY_TIMEOUT, query).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

async fn fetch(connection: &mut PgConnection, after: i64) -> Result<Vec<Row>, sqlx::Error> {
    // In two steps, each of which can only be done by index, whatever the planner knows of the tables.
    let ids = sqlx::query_scalar!(
        "select id from outbox_unpublished where id > $1 order by id limit $2",
        after,
        ROUND,
    )
    .fetch_all(&mut *connection)
    .await?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"select id, subject, headers as "headers: sqlx::types::Json<BTreeMap<String, String>>", payload
           from outbox where id = any($1) order by id"#,
        &ids,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Row {
            id: row.id,
            stream: stream_of(&row.subject),
            message: Outgoing::new(row.subject, row.headers.0, Bytes::from(row.payload)),
        })
        .collect())
}

fn stream_of(subject: &str) -> Option<Stream> {
    Stream::ALL
        .into_iter()
        .find(|stream| stream.subjects().iter().any(|filter| subject::matches(filter, subject)))
}

async fn mark(connection: &mut PgConnection, ids: &[i64]) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!("delete from outbox_unpublished where id = any($1)", ids).execute(connection).await?;
    Ok(())
}

/// Publishes rows in order; a batch is of one stream, so each run of rows for the same stream goes by itself.
async fn send(nats: &Nats, rows: Vec<Row>) -> Result<(), PublishError> {
    let mut run: Vec<Outgoing> = Vec::with_capacity(rows.len());
    let mut of = None;
    for row in rows {
        if !run.is_empty() && row.stream != of {
            batch::publish(nats, std::mem::take(&mut run)).await?;
        }
        of = row.stream;
        run.push(row.message);
    }
    if run.is_empty() { Ok(()) } else { batch::publish(nats, run).await }
}
