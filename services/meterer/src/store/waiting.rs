//! `meterer.parked`, as far as it holds usage that waits for its deployment. Messages are parked and released by
//! [`messaging::parked`].

use std::collections::HashSet;

use sqlx::PgConnection;

/// Those of these things that any message waits for, also one that somebody has locked.
pub async fn awaited(tx: &mut PgConnection, things: &[String]) -> Result<HashSet<String>, sqlx::Error> {
    if things.is_empty() {
        return Ok(HashSet::new());
    }
    // A look into the index for each: any number may wait for one thing.
    let awaited = sqlx::query_scalar!(
        r#"select thing as "thing!"
           from unnest($1::text[]) thing
                cross join lateral (
                  select from meterer.parked where waits_for = thing and status = 'parked' limit 1) waiting"#,
        things,
    )
    .fetch_all(tx)
    .await?;
    Ok(awaited.into_iter().collect())
}
