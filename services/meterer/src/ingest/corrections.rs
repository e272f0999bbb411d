//! What is said later about a request. One transaction at a time corrects ([`Writing::Alone`]).
//!
//! [`Writing::Alone`]: crate::store::llm_usage::Writing::Alone

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contracts::ids::RequestId;
use sqlx::PgConnection;

use super::{Conflicting, Fate, Known, thing_of_corrections};
use crate::{
    domain::llm_usage::{Correction, Effective, Rollup},
    store::{
        StoreError, llm_usage,
        llm_usage_corrections::{self, Taken},
        llm_usage_daily,
    },
};

/// Takes corrections in their order, each with its place in the batch; the batch's requests are saved before. Writes
/// down what becomes of each and returns the conflicts.
pub(super) async fn take(
    tx: &mut PgConnection,
    told: &[(usize, &Correction)],
    known: &Known,
    fates: &mut [Fate],
    now: DateTime<Utc>,
) -> Result<Vec<Conflicting>, StoreError> {
    let ids: Vec<&str> = told.iter().map(|(_, correction)| correction.id.as_str()).collect();
    let requests: Vec<&str> = told.iter().map(|(_, correction)| correction.request.as_str()).collect();
    let before = llm_usage_corrections::find(tx, &ids).await?;
    let seen = llm_usage::seen(tx, &requests).await?;
    let entries: Vec<i64> = seen.values().map(|seen| seen.entry).collect();
    let events = llm_usage::events(tx, &entries).await?;
    let mut effective = llm_usage_corrections::effective(tx, &requests).await?;

    let mut decided: HashMap<&RequestId, &Correction> = before.iter().collect();
    let (mut taken, mut rollup, mut conflicts) = (Vec::new(), Rollup::default(), Vec::new());
    for (place, correction) in told {
        let is_recorded = seen.contains_key(correction.request.as_str());
        fates[*place] = if let Some(decided) = decided.get(&correction.id) {
            if decided.fingerprint == correction.fingerprint {
                Fate::Duplicate
            } else {
                conflicts.push(conflicting(correction, decided)?);
                Fate::Conflict
            }
        } else if let Some(reason) = known.makes_correction_wait(correction.deployment_id, is_recorded) {
            // The request may wait as well, and is taken up first.
            Fate::Waiting { reason, thing: thing_of_corrections(correction.deployment_id) }
        } else if !is_recorded {
            Fate::Aside(format!("the request {} is not recorded", correction.request))
        } else if let Some(event) = events.get(&correction.request) {
            let so_far =
                effective.get(&correction.request).copied().unwrap_or_else(|| Effective::recorded(event));
            match so_far.decide(event, correction) {
                Ok(change) => {
                    effective.insert(correction.request.clone(), change.effective);
                    rollup.change(event, change.delta);
                    decided.insert(&correction.id, correction);
                    taken.push(Taken { correction, event, delta: change.delta });
                    Fate::Accepted
                }
                Err(reason) => Fate::Aside(reason.to_owned()),
            }
        } else {
            Fate::Aside(format!("the request {} is older than its retention", correction.request))
        };
    }
    llm_usage_corrections::insert(tx, &taken, now).await?;
    llm_usage_daily::change(tx, &rollup).await?;
    Ok(conflicts)
}

fn conflicting(correction: &Correction, known: &Correction) -> Result<Conflicting, serde_json::Error> {
    let same_tenant = known.tenant_id == correction.tenant_id;
    let same_deployment = known.deployment_id == correction.deployment_id;
    Ok(Conflicting {
        id: correction.id.clone(),
        fingerprint: correction.fingerprint,
        event: correction.kind(),
        tenant_id: same_tenant.then(|| correction.tenant_id.clone()),
        deployment_id: same_deployment.then_some(correction.deployment_id),
        fields: known.differences(correction),
        rejected: correction.as_event()?,
    })
}
