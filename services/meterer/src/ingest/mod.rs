//! How usage becomes sums: a batch is judged event by event and saved set-wise, in one transaction, whatever way it
//! came.
//!
//! Each request counts once, for ever, by its id. The same id with other content is a conflict: kept, shown and not
//! counted. What cannot be counted yet, or cannot be read, is for the caller to set aside; nothing is left out
//! silently.

mod corrections;
mod events;
mod follow;

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use contracts::{
    Service, TenantId,
    ids::{DeploymentId, RequestId},
    meterer::{UsageConflict, UsageConflicted},
};
use messaging::{
    Outcome,
    outbox::{self, Draft},
};
use serde_json::value::RawValue;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    domain::llm_usage::{Fingerprint, Recorded, Usage},
    store::{
        StoreError,
        known_deployment::{self, KnownDeployment},
        llm_usage::{self, Writing},
        llm_usage_conflicts, waiting,
    },
};

pub use follow::Batch;

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It counts.
    Accepted,
    /// It counts since it came before.
    Duplicate,
    /// Something else counts under its id; it is kept as a conflict.
    Conflict,
    /// It cannot be counted, as long as nobody does something about it.
    Aside(String),
    /// It cannot be counted before a thing is known.
    Waiting {
        /// Why not.
        reason: String,
        /// The thing.
        thing: String,
    },
}

impl Fate {
    const fn label(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::Aside(_) => "parked",
            Self::Waiting { .. } => "waiting",
        }
    }
}

impl From<Fate> for Outcome {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Accepted | Fate::Duplicate | Fate::Conflict => Self::Done,
            Fate::Aside(reason) => Self::Park(reason),
            Fate::Waiting { reason, thing } => Self::Await { reason, thing },
        }
    }
}

/// What events of an unknown deployment wait for.
pub fn thing(deployment: DeploymentId) -> String {
    format!("deployment/{deployment}")
}

/// What corrections and voids of requests that may still wait, wait for.
pub fn thing_of_corrections(deployment: DeploymentId) -> String {
    format!("{}/corrections", thing(deployment))
}

/// Everything that anything of a deployment waits for, in the order in which it is taken up.
pub fn things(deployment: DeploymentId) -> [String; 2] {
    [thing(deployment), thing_of_corrections(deployment)]
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// That of what has just come. It queues behind what waits for its deployment: the first event of an id counts, and a
    /// correction comes after its request.
    New,
    /// That of what has waited.
    Waited,
}

/// Saves what was said, at most a thousand events, and tells what became of each, in order. Whether an event comes
/// twice in a batch or in two makes no difference.
pub async fn settle(
    tx: &mut PgConnection,
    said: &[Result<Usage, String>],
    turn: Turn,
    now: DateTime<Utc>,
) -> Result<Vec<Fate>, StoreError> {
    let corrects = said.iter().any(|said| matches!(said, Ok(Usage::Corrected(_))));
    // Before anything is read: a deployment that becomes known meanwhile would find nothing waiting for it.
    llm_usage::lock(tx, if corrects { Writing::Alone } else { Writing::Together }).await?;

    let mut fates = Vec::with_capacity(said.len());
    let (mut candidates, mut told) = (Vec::with_capacity(said.len()), Vec::new());
    let deployments: BTreeSet<DeploymentId> = said.iter().filter_map(deployment_of).collect();
    let known = Known::find(tx, &deployments, corrects, turn).await?;
    for (place, said) in said.iter().enumerate() {
        let fate = match said {
            Ok(Usage::Recorded(event)) => match refused(event, &known) {
                Some(fate) => fate,
                None => {
                    candidates.push((place, event));
                    Fate::Accepted
                }
            },
            Ok(Usage::Corrected(correction)) => {
                told.push((place, correction));
                Fate::Accepted
            }
            Err(reason) => Fate::Aside(reason.clone()),
        };
        fates.push(fate);
    }

    let mut conflicts = events::take(tx, candidates, &mut fates, now).await?;
    if !told.is_empty() {
        conflicts.extend(corrections::take(tx, &told, &known, &mut fates, now).await?);
    }
    keep(tx, conflicts, now).await?;
    count(&fates);
    Ok(fates)
}

fn deployment_of(said: &Result<Usage, String>) -> Option<DeploymentId> {
    match said {
        Ok(Usage::Recorded(event)) => Some(event.deployment_id),
        Ok(Usage::Corrected(correction)) => Some(correction.deployment_id),
        Err(_) => None,
    }
}

/// What is known of the deployments of a batch.
struct Known {
    deployments: HashMap<DeploymentId, KnownDeployment>,
    /// What it is that earlier messages wait for.
    awaited: HashSet<String>,
}

impl Known {
    async fn find(
        tx: &mut PgConnection,
        of: &BTreeSet<DeploymentId>,
        corrects: bool,
        turn: Turn,
    ) -> Result<Self, StoreError> {
        let ids: Vec<Uuid> = of.iter().map(|id| id.as_uuid()).collect();
        let deployments =
            if ids.is_empty() { HashMap::new() } else { known_deployment::find(tx, &ids).await? };
        let mut things: Vec<String> = Vec::new();
        // For a deployment that is not known everything waits anyway.
        for id in deployments.keys().filter(|_| turn == Turn::New) {
            things.push(thing(*id));
            things.extend(corrects.then(|| thing_of_corrections(*id)));
        }
        Ok(Self { deployments, awaited: waiting::awaited(tx, &things).await? })
    }

    /// Why an event of a deployment is not judged yet, if so.
    fn makes_wait(&self, deployment: DeploymentId) -> Option<String> {
        if !self.deployments.contains_key(&deployment) {
            Some(format!("the deployment {deployment} is not known"))
        } else if self.awaited.contains(&thing(deployment)) {
            Some(format!("what waited for the deployment {deployment} is being counted first"))
        } else {
            None
        }
    }

    /// The same of a correction. One whose request is recorded waits for nothing but other corrections.
    fn makes_correction_wait(&self, deployment: DeploymentId, is_recorded: bool) -> Option<String> {
        let for_request = if is_recorded { None } else { self.makes_wait(deployment) };
        for_request.or_else(|| {
            let waits = self.awaited.contains(&thing_of_corrections(deployment));
            waits.then(|| format!("corrections that waited for the deployment {deployment} are taken first"))
        })
    }
}

/// Why an event of this deployment does not count, if so.
fn refused(event: &Recorded, known: &Known) -> Option<Fate> {
    if let Some(reason) = known.makes_wait(event.deployment_id) {
        return Some(Fate::Waiting { reason, thing: thing(event.deployment_id) });
    }
    let known = known.deployments.get(&event.deployment_id)?;
    if known.tenant_id != event.tenant_id {
        return Some(Fate::Aside("the deployment is another tenant's".to_owned()));
    }
    match known.currency {
        Some(currency) if currency != event.currency => Some(Fate::Aside(format!(
            "the deployment's plan is in {currency}, the charge in {}",
            event.currency
        ))),
        _ => None,
    }
}

/// An event that came under an id that something else has.
struct Conflicting {
    id: RequestId,
    fingerprint: Fingerprint,
    event: &'static str,
    /// Of both, when they agree.
    tenant_id: Option<TenantId>,
    /// Of both, when they agree.
    deployment_id: Option<DeploymentId>,
    fields: Vec<&'static str>,
    rejected: Box<RawValue>,
}

/// Keeps conflicts, and tells of those that are new.
async fn keep(
    tx: &mut PgConnection,
    conflicts: Vec<Conflicting>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if conflicts.is_empty() {
        return Ok(());
    }
    let conflicts: Vec<(UsageConflict, Fingerprint)> = conflicts
        .into_iter()
        .map(|conflicting| {
            let conflict = UsageConflict {
                gateway_request_id: conflicting.id,
                event: conflicting.event.to_owned(),
                tenant_id: conflicting.tenant_id,
                deployment_id: conflicting.deployment_id,
                fields: conflicting.fields.into_iter().map(str::to_owned).collect(),
                rejected: conflicting.rejected,
                recorded_at: now,
            };
            (conflict, conflicting.fingerprint)
        })
        .collect();
    let mut new = llm_usage_conflicts::insert(tx, &conflicts).await?;
    let mut drafts = Vec::with_capacity(new.len());
    for (conflict, fingerprint) in conflicts {
        // Removing tells of one that came twice in the batch once.
        if new.remove(&(conflict.gateway_request_id.clone(), fingerprint)) {
            drafts.push(Draft::event(Service::Meterer, &UsageConflicted { conflict }, now)?);
        }
    }
    outbox::add(tx, &drafts).await?;
    Ok(())
}

fn count(fates: &[Fate]) {
    let mut labels: Vec<&str> = fates.iter().map(Fate::label).collect();
    labels.sort_unstable();
    for chunk in labels.chunk_by(|one, other| one == other) {
        let count = u64::try_from(chunk.len()).unwrap_or_default();
        metrics::counter!("llm_usage_events_total", "outcome" => chunk[0].to_owned()).increment(count);
    }
}
