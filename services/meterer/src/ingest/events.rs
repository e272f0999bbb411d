//! Requests that were made.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Conflicting, Fate};
use crate::{
    domain::llm_usage::Recorded,
    store::{StoreError, llm_usage},
};

/// Takes events, each with its place in the batch; writes down which of them are duplicates and conflicts and returns
/// the latter.
pub(super) async fn take(
    tx: &mut PgConnection,
    mut candidates: Vec<(usize, &Recorded)>,
    fates: &mut [Fate],
    now: DateTime<Utc>,
) -> Result<Vec<Conflicting>, StoreError> {
    // Stable: of those with one id the first stays the first.
    candidates.sort_by(|(_, one), (_, other)| one.id.cmp(&other.id));
    let mut firsts = Vec::with_capacity(candidates.len());
    let mut left: Vec<(usize, &Recorded)> = Vec::new();
    for same in candidates.chunk_by(|(_, one), (_, other)| one.id == other.id) {
        firsts.push(same[0].1);
        left.extend_from_slice(&same[1..]);
    }
    let taken = llm_usage::ingest(tx, &firsts, now).await?;
    if left.is_empty() && taken.iter().all(|taken| *taken) {
        return Ok(Vec::new());
    }
    let heads = candidates.chunk_by(|(_, one), (_, other)| one.id == other.id).map(|same| same[0]);
    left.extend(heads.zip(taken).filter_map(|(head, taken)| (!taken).then_some(head)));

    // What was taken just now is seen too: so a second of the batch is compared with its first.
    let ids: Vec<&str> = left.iter().map(|(_, event)| event.id.as_str()).collect();
    let seen = llm_usage::seen(tx, &ids).await?;
    let mut differing = Vec::new();
    for (place, event) in left {
        let seen = seen.get(event.id.as_str()).ok_or(StoreError::Corrupt("llm_usage_ids"))?;
        if seen.fingerprint == event.fingerprint {
            fates[place] = Fate::Duplicate;
        } else {
            fates[place] = Fate::Conflict;
            differing.push((place, event, seen.entry));
        }
    }
    // In the order they came.
    differing.sort_unstable_by_key(|(place, ..)| *place);
    let entries: Vec<i64> = differing.iter().map(|(_, _, entry)| *entry).collect();
    let kept = llm_usage::events(tx, &entries).await?;
    let conflicting = differing.into_iter().map(|(_, event, _)| conflicting(event, kept.get(&event.id)));
    Ok(conflicting.collect::<Result<_, _>>()?)
}

/// `kept` is `None` when it is older than its retention: then nobody knows any more what differs.
fn conflicting(event: &Recorded, kept: Option<&Recorded>) -> Result<Conflicting, serde_json::Error> {
    Ok(Conflicting {
        id: event.id.clone(),
        fingerprint: event.fingerprint,
        event: "recorded",
        tenant_id: kept.map(|kept| &kept.tenant_id).filter(|tenant| **tenant == event.tenant_id).cloned(),
        deployment_id: kept.map(|kept| kept.deployment_id).filter(|id| *id == event.deployment_id),
        fields: kept.map(|kept| kept.differences(event)).unwrap_or_default(),
        rejected: event.as_event()?,
    })
}
