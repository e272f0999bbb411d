//! Which messages a consumer has handled: one row per message, committed with its effect.

use sqlx::PgConnection;

/// What the inbox says about a command's key.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nobody used it; the row is inserted and commits with the effect.
    Fresh,
    /// The same command was carried out; this was its reply.
    Replied(Vec<u8>),
    /// The key was used for a different command.
    Mismatch,
}

/// Claims a command's key. Waits for a transaction that is using the key right now.
pub async fn claim_command(
    tx: &mut PgConnection,
    consumer: &str,
    key: &str,
    fingerprint: &[u8],
) -> Result<Claim, sqlx::Error> {
    let inserted = sqlx::query!(
        "insert into inbox (consumer, message_key, fingerprint) values ($1, $2, $3) on conflict do nothing",
        consumer,
        key,
        fingerprint,
    )
    .execute(&mut *tx)
    .await?;
    if inserted.rows_affected() == 1 {
        return Ok(Claim::Fresh);
    }
    let row = sqlx::query!(
        "select fingerprint, reply from inbox where consumer = $1 and message_key = $2",
        consumer,
        key,
    )
    .fetch_one(tx)
    .await?;
    match (row.fingerprint, row.reply) {
        (Some(stored), Some(reply)) if stored == fingerprint => Ok(Claim::Replied(reply)),
        _ => Ok(Claim::Mismatch),
    }
}

/// Keeps the reply of a command with its key.
pub async fn store_reply(
    tx: &mut PgConnection,
    consumer: &str,
    key: &str,
    reply: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update inbox set reply = $3 where consumer = $1 and message_key = $2",
        consumer,
        key,
        reply,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Inserts the keys and returns those that were new, in no particular order.
pub async fn claim(
    tx: &mut PgConnection,
    consumer: &str,
    keys: &[String],
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "insert into inbox (consumer, message_key)
         select $1, key from unnest($2::text[]) key
         on conflict do nothing
         returning message_key",
        consumer,
        keys,
    )
    .fetch_all(tx)
    .await
}

/// Whether a message was handled.
pub async fn contains(tx: &mut PgConnection, consumer: &str, key: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from inbox where consumer = $1 and message_key = $2) as "found!""#,
        consumer,
        key,
    )
    .fetch_one(tx)
    .await
}
