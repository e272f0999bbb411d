//! `meterer.usage_position`: how far each followed stream is taken.

use chrono::{DateTime, Utc};
use contracts::streams::Stream;
use messaging::Position;
use sqlx::PgConnection;

use super::StoreError;

/// Where the last batch that was taken ended.
pub async fn find(tx: &mut PgConnection, stream: Stream) -> Result<Option<Position>, StoreError> {
    let row = sqlx::query!(
        "select stream_created_at, sequence from meterer.usage_position where stream = $1",
        stream.name(),
    )
    .fetch_optional(tx)
    .await?;
    row.map(|row| {
        let sequence =
            u64::try_from(row.sequence).map_err(|_| StoreError::Corrupt("usage_position.sequence"))?;
        Ok(Position { stream_created_at: row.stream_created_at, sequence })
    })
    .transpose()
}

/// Moves the position if it still is `from`; false otherwise.
pub async fn advance(
    tx: &mut PgConnection,
    stream: Stream,
    from: Option<Position>,
    to: Position,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let place = |position: Position| {
        i64::try_from(position.sequence).map_err(|_| StoreError::Corrupt("the stream's sequence"))
    };
    let moved = match from {
        None => {
            sqlx::query!(
                "insert into meterer.usage_position (stream, stream_created_at, sequence, moved_at)
                 values ($1, $2, $3, $4) on conflict (stream) do nothing",
                stream.name(),
                to.stream_created_at,
                place(to)?,
                now,
            )
            .execute(tx)
            .await?
        }
        Some(from) => {
            sqlx::query!(
                "update meterer.usage_position set stream_created_at = $2, sequence = $3, moved_at = $4
                 where stream = $1 and stream_created_at = $5 and sequence = $6",
                stream.name(),
                to.stream_created_at,
                place(to)?,
                now,
                from.stream_created_at,
                place(from)?,
            )
            .execute(tx)
            .await?
        }
    };
    Ok(moved.rows_affected() == 1)
}
