//! `listings`: one row per listing of the provider, with its present run and how it stands.

use chrono::{DateTime, Utc};
use contracts::{
    Actor, Service,
    syncer::{HeldListing, Listing, ListingHeld, ListingReleased, ListingStatus},
};
use messaging::outbox::{self, Draft};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{StoreError, lock_inventory, storable};
use crate::domain::listing::{Announcement, Conclusion, Hold, Prerequisites, Run};

/// Begins a run. A run that is under way finds itself overtaken.
pub async fn begin(tx: &mut PgConnection, listing: Listing, now: DateTime<Utc>) -> Result<Run, StoreError> {
    // A page that is being written belongs to the run before; after this lock there is none.
    lock_inventory(tx).await?;
    let id = Uuid::now_v7();
    // Always after what came before, whatever the clocks of two replicas say: what is not seen again from here on
    // is absent.
    let started_at = sqlx::query_scalar!(
        r#"insert into syncer.listings as l (listing, run_id, started_at) values ($1, $2, $3)
           on conflict (listing) do update
           set run_id = $2,
               started_at = greatest($3, l.started_at + interval '1 microsecond', l.completed_at + interval '1 microsecond')
           returning started_at as "started_at!""#,
        listing.as_str(),
        id,
        storable(now),
    )
    .fetch_one(tx)
    .await?;
    let run = Run { listing, id, started_at };
    Ok(run)
}

/// Whether `listing`, which never completed, must wait for the first runs of those it builds on: one of them is
/// under way, or they may all be about to begin.
pub async fn waits(tx: &mut PgConnection, listing: Listing, asked_before: bool) -> Result<bool, StoreError> {
    let names: Vec<&str> = listing.prerequisites().iter().map(|listing| listing.as_str()).collect();
    if names.is_empty() {
        return Ok(false);
    }
    let waits = sqlx::query_scalar!(
        r#"select not exists (select from syncer.listings where listing = $1 and completed_at is not null)
                  and (not $3 or exists (select from syncer.listings
                                         where listing = any($2) and completed_at is null and failure is null))
                  as "waits!""#,
        listing.as_str(),
        &names as &[&str],
        asked_before,
    )
    .fetch_one(tx)
    .await?;
    Ok(waits)
}

/// Takes the inventory's lock for a run that still may write; [`StoreError::Overtaken`] otherwise.
pub async fn lock(tx: &mut PgConnection, run: &Run) -> Result<(), StoreError> {
    lock_inventory(tx).await?;
    // A statement of its own: its snapshot is taken after the lock, so it sees who has begun meanwhile.
    let current = sqlx::query_scalar!(
        r#"select exists (select from syncer.listings where listing = $1 and run_id = $2) as "current!""#,
        run.listing.as_str(),
        run.id,
    )
    .fetch_one(tx)
    .await?;
    if current { Ok(()) } else { Err(StoreError::Overtaken) }
}

/// Whether the listing is held back, and how large a loss is confirmed.
pub async fn hold(tx: &mut PgConnection, listing: Listing) -> Result<Hold, StoreError> {
    let row = sqlx::query!(
        "select held_at, held_known, held_missing, confirmed_missing
         from syncer.listings where listing = $1 for update",
        listing.as_str(),
    )
    .fetch_optional(tx)
    .await?;
    let Some(row) = row else { return Ok(Hold::default()) };
    let held = held(row.held_at, row.held_known, row.held_missing);
    Ok(Hold { held, confirmed_missing: row.confirmed_missing })
}

/// Records a run that reached its last page, and tells what its conclusion has to tell.
pub async fn complete(
    tx: &mut PgConnection,
    run: &Run,
    seen: u64,
    conclusion: &Conclusion,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    save_hold(tx, run.listing, &conclusion.hold).await?;
    sqlx::query!(
        "update syncer.listings set completed_at = $2, seen = $3, failure = null where listing = $1",
        run.listing.as_str(),
        storable(now),
        i64::try_from(seen).unwrap_or(i64::MAX),
    )
    .execute(&mut *tx)
    .await?;
    let draft = match &conclusion.announcement {
        None => return Ok(()),
        Some(Announcement::Held(held)) => {
            let event = ListingHeld { listing: run.listing, held: held.clone() };
            Draft::event(Service::Syncer, &event, now)?
        }
        Some(Announcement::Recovered) => {
            let event = ListingReleased { listing: run.listing, confirmed_by: None };
            Draft::event(Service::Syncer, &event, now)?
        }
    };
    Ok(outbox::add(tx, &[draft]).await?)
}

/// Records why a run did not reach its last page. How the listing stood before stays.
pub async fn fail(tx: &mut PgConnection, run: &Run, failure: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "update syncer.listings set failure = $2 where listing = $1",
        run.listing.as_str(),
        failure,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes an operator's word that the loss of a held listing is real. `None`: it is not held.
pub async fn confirm(
    tx: &mut PgConnection,
    listing: Listing,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<Option<ListingStatus>, StoreError> {
    let Some(held) = hold(tx, listing).await?.held else { return Ok(None) };
    save_hold(tx, listing, &Hold { held: None, confirmed_missing: Some(held.missing) }).await?;
    let event = ListingReleased { listing, confirmed_by: Some(actor.clone()) };
    outbox::add(tx, &[Draft::event(Service::Syncer, &event, now)?]).await?;
    Ok(Some(status(tx, listing).await?))
}

async fn save_hold(tx: &mut PgConnection, listing: Listing, hold: &Hold) -> Result<(), StoreError> {
    let held = hold.held.as_ref();
    sqlx::query!(
        "update syncer.listings
         set held_at = $2, held_known = $3, held_missing = $4, confirmed_missing = $5 where listing = $1",
        listing.as_str(),
        held.map(|held| storable(held.held_at)),
        held.map(|held| held.known),
        held.map(|held| held.missing),
        hold.confirmed_missing,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// How one listing stands.
pub async fn status(tx: &mut PgConnection, listing: Listing) -> Result<ListingStatus, StoreError> {
    let all = statuses(tx).await?;
    all.into_iter()
        .find(|status| status.listing == listing)
        .ok_or_else(|| StoreError::Database(sqlx::Error::RowNotFound))
}

/// How every listing stands, those that never ran included.
pub async fn statuses(tx: &mut PgConnection) -> Result<Vec<ListingStatus>, StoreError> {
    let rows = sqlx::query!(
        "select listing, completed_at, seen, failure, held_at, held_known, held_missing from syncer.listings"
    )
    .fetch_all(tx)
    .await?;
    let statuses = Listing::ALL.into_iter().map(|listing| {
        let never = ListingStatus { listing, completed_at: None, seen: None, failure: None, held: None };
        let row = rows.iter().find(|row| row.listing == listing.as_str());
        row.map_or(never, |row| ListingStatus {
            listing,
            completed_at: row.completed_at,
            seen: row.seen,
            failure: row.failure.clone(),
            held: held(row.held_at, row.held_known, row.held_missing),
        })
    });
    Ok(statuses.collect())
}

fn held(at: Option<DateTime<Utc>>, known: Option<i64>, missing: Option<i64>) -> Option<HeldListing> {
    Some(HeldListing { held_at: at?, known: known?, missing: missing? })
}
