//! What a complete walk means for what it did not show: strikes, and where the unclaimed belong.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contracts::{
    ids::ResourceId,
    syncer::{Listing, ResourceKind},
};
use sqlx::PgConnection;
use tracing::{info, warn};

use super::Complete;
use crate::{
    domain::{
        absence::{self, Tally},
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
        settled.carry_out(tx, now).await?;
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
    // A tally in which only absences can be struck; what lost its project is judged with them.
    let absent = anything_missing(&tallies);

    let fallback = store::project::find_by_name(tx, FALLBACK_PROJECT).await?.unwrap_or_default();
    let (claimable, others): (Vec<ResourceKind>, Vec<ResourceKind>) =
        LISTED_KINDS.into_iter().partition(|kind| matches!(custom(kind), Custom::Claimed | Custom::Zone));
    let settled = Settled::of(tx, run, complete, Candidates::Of(&claimable), &fallback).await?;
    // A project that is left by what it held is the account's business; that every project is left by everything
    // is not believed.
    if settled.tally.missing == settled.tally.known && settled.tally.known > 10 {
        tallies.push(settled.tally);
    }

    let conclusion = judge(tx, run.listing, complete.seen, &tallies, now).await?;
    if conclusion.strikes {
        if absent {
            resource::strike(tx, run, &kinds, now).await?;
            store::project::strike(tx, run, now).await?;
        }
        settled.carry_out(tx, now).await?;
        // After their parents.
        let settled = Settled::of(tx, run, complete, Candidates::Of(&others), &fallback).await?;
        settled.carry_out(tx, now).await?;
    }
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
    Ok(settled.tally.missing > 0)
}

/// Where the unclaimed belong.
#[derive(Default)]
struct Settled {
    moves: HashMap<Home, Vec<ResourceId>>,
    /// Resources in projects other than `skyai-internal`, and how many of them lost theirs.
    tally: Tally,
}

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
                let claimed = complete.claimed.contains(&candidate.id);
                let home = &candidate.resource.home;
                if home.project.is_some() && home.project != fallback.project && !candidate.resource.missing {
                    settled.tally.known += 1;
                    settled.tally.missing += i64::from(!claimed);
                }
                if claimed {
                    continue;
                }
                match settle(&candidate.resource, fallback) {
                    Settlement::Stay => {}
                    Settlement::Move(home) => settled.moves.entry(home).or_default().push(candidate.id),
                }
            }
        }
    }

    async fn carry_out(self, tx: &mut PgConnection, now: DateTime<Utc>) -> Result<(), StoreError> {
        for (home, ids) in &self.moves {
            resource::attribute(tx, ids, home, None, store::storable(now)).await?;
        }
        Ok(())
    }
}
