//! What a complete walk means for what it did not show: strikes, and where the unclaimed belong.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use contracts::{
    ids::{ProjectId, ResourceId},
    syncer::{Listing, ResourceKind},
};
use sqlx::PgConnection;
use tracing::{info, warn};

use super::Complete;
use crate::{
    domain::{
        absence::{self, Tally, Verdict},
        attribution::{Custom, FALLBACK_PROJECT, Home, LISTED_KINDS, Settlement, custom, kind_of, settle},
        listing::{self, Announcement, Conclusion, Run},
    },
    store::{
        self, StoreError,
        resource::{self, Candidates},
    },
};

/// Records a run that reached its last page.
pub async fn conclude(
    tx: &mut PgConnection,
    run: &Run,
    complete: &Complete,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    store::listing::lock(tx, run).await?;
    let conclusion = match kind_of(run.listing) {
        Some(kind) => conclude_kind(tx, run, complete, kind, now).await?,
        None => conclude_projects(tx, run, complete, now).await?,
    };
    store::listing::complete(tx, run, complete.seen, &conclusion, now).await?;
    let listing = run.listing.as_str();
    match &conclusion.announcement {
        Some(Announcement::Held(held)) => {
            warn!(listing, held.known, held.missing, "listing held back: too much is missing at once");
        }
        Some(Announcement::Recovered) => info!(listing, "listing counts again: it recovered"),
        None => {}
    }
    info!(listing, listing.seen = complete.seen, "listing complete");
    Ok(())
}

async fn judge(
    tx: &mut PgConnection,
    listing: Listing,
    seen: u64,
    tallies: &[Tally],
    now: DateTime<Utc>,
) -> Result<Conclusion, StoreError> {
    let hold = store::listing::hold(tx, listing).await?;
    let verdict = absence::judge(seen, tallies, hold.confirmed_missing);
    Ok(listing::conclude(&hold, verdict, now))
}

fn anything_missing(tallies: &[Tally]) -> bool {
    tallies.iter().any(|tally| tally.missing > 0)
}

async fn conclude_kind(
    tx: &mut PgConnection,
    run: &Run,
    complete: &Complete,
    kind: ResourceKind,
    now: DateTime<Utc>,
) -> Result<Conclusion, StoreError> {
    let kinds = [kind];
    let tallies = resource::tallies(tx, run, &kinds).await?;
    let conclusion = judge(tx, run.listing, complete.seen, &tallies, now).await?;
    if conclusion.strikes && anything_missing(&tallies) {
        resource::strike(tx, run, &kinds, now).await?;
    }
    // What no project ever claims need not wait for the projects to be walked.
    if matches!(custom(&kinds[0]), Custom::FollowsParent | Custom::Unclaimable)
        && let Some(fallback) = store::project::find_by_name(tx, FALLBACK_PROJECT).await?
    {
        let settled = Settled::of(tx, run, complete, Candidates::HomelessOf(&kinds), &fallback).await?;
        carry_out(tx, settled.moves, now).await?;
    }
    Ok(conclusion)
}

async fn conclude_projects(
    tx: &mut PgConnection,
    run: &Run,
    complete: &Complete,
    now: DateTime<Utc>,
) -> Result<Conclusion, StoreError> {
    let kinds = resource::member_kinds(tx).await?;
    let mut tallies = resource::tallies(tx, run, &kinds).await?;
    tallies.push(store::project::tally(tx, run).await?);
    let absent = anything_missing(&tallies);
    let hold = store::listing::hold(tx, run.listing).await?;
    let absences = absence::judge(complete.seen, &tallies, hold.confirmed_missing);

    let fallback = store::project::find_by_name(tx, FALLBACK_PROJECT).await?.unwrap_or_default();
    let (claimable, others): (Vec<ResourceKind>, Vec<ResourceKind>) =
        LISTED_KINDS.into_iter().partition(|kind| matches!(custom(kind), Custom::Claimed | Custom::Zone));
    let settled = Settled::of(tx, run, complete, Candidates::Of(&claimable), &fallback).await?;
    // What leaves its project is the account's business, however much it is. Only a project that is suddenly
    // empty is not believed, and only what was in it stays where it is.
    let emptied: Vec<ProjectId> = settled.from_silent.keys().copied().collect();
    let mut held = HashSet::new();
    for (project, members) in resource::members_of(tx, &emptied).await? {
        let tally = Tally { known: members, missing: members };
        if tally.is_suspicious() {
            held.insert(project);
            tallies.push(tally);
        }
    }

    let conclusion = judge(tx, run.listing, complete.seen, &tallies, now).await?;
    if matches!(absences, Verdict::Held(_)) {
        return Ok(conclusion);
    }
    if absent {
        resource::strike(tx, run, &kinds, now).await?;
        store::project::strike(tx, run, now).await?;
    }
    carry_out(tx, settled.moves, now).await?;
    for (project, moves) in settled.from_silent {
        if conclusion.strikes || !held.contains(&project) {
            carry_out(tx, moves, now).await?;
        }
    }
    // After their parents.
    let settled = Settled::of(tx, run, complete, Candidates::Of(&others), &fallback).await?;
    carry_out(tx, settled.moves, now).await?;
    Ok(conclusion)
}

/// Whether resources would lose their project if the walk ended now.
pub async fn leaves_any(tx: &mut PgConnection, run: &Run, complete: &Complete) -> Result<bool, StoreError> {
    let fallback = store::project::find_by_name(tx, FALLBACK_PROJECT).await?.unwrap_or_default();
    let claimable: Vec<ResourceKind> = LISTED_KINDS
        .into_iter()
        .filter(|kind| matches!(custom(kind), Custom::Claimed | Custom::Zone))
        .collect();
    let settled = Settled::of(tx, run, complete, Candidates::Of(&claimable), &fallback).await?;
    Ok(settled.leaving)
}

/// Where the unclaimed belong.
#[derive(Default)]
struct Settled {
    moves: Moves,
    /// The same, of what was in projects that showed nothing at all.
    from_silent: HashMap<ProjectId, Moves>,
    /// Whether anything leaves a project other than `skyai-internal`.
    leaving: bool,
}

type Moves = HashMap<Home, Vec<ResourceId>>;

impl Settled {
    async fn of(
        tx: &mut PgConnection,
        run: &Run,
        complete: &Complete,
        which: Candidates<'_>,
        fallback: &Home,
    ) -> Result<Self, StoreError> {
        let mut settled = Self::default();
        let mut after = None;
        loop {
            let candidates = resource::candidates(tx, which, after, run.started_at).await?;
            let Some(last) = candidates.last() else { return Ok(settled) };
            after = Some(last.id);
            for candidate in candidates {
                if complete.claimed.contains(&candidate.id) {
                    continue;
                }
                let Settlement::Move(home) = settle(&candidate.resource, fallback) else { continue };
                let left = candidate.resource.home.project;
                settled.leaving |= left.is_some() && left != fallback.project;
                let moves = match left {
                    Some(project) if complete.silent.contains(&project) => {
                        settled.from_silent.entry(project).or_default()
                    }
                    Some(_) | None => &mut settled.moves,
                };
                moves.entry(home).or_default().push(candidate.id);
            }
        }
    }
}

async fn carry_out(tx: &mut PgConnection, moves: Moves, now: DateTime<Utc>) -> Result<(), StoreError> {
    for (home, ids) in &moves {
        resource::attribute(tx, ids, home, None, store::storable(now)).await?;
    }
    Ok(())
}
