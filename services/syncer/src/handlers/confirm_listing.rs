//! An operator says that the loss in a held listing is real.

use contracts::{
    Problem,
    syncer::{ConfirmListing, ListingStatus},
};
use messaging::{Execute, Refusal};
use sqlx::PgConnection;

use crate::{Syncer, store};

impl Execute<ConfirmListing> for Syncer {
    async fn execute(
        &self,
        tx: &mut PgConnection,
        command: ConfirmListing,
    ) -> Result<ListingStatus, Refusal> {
        let now = self.clock.now();
        match store::listing::confirm(tx, command.listing, &command.actor, now).await? {
            Some(status) => Ok(status),
            None => Err(Problem::conflict(format!(
                "The listing {} is not held back, so there is nothing to confirm.",
                command.listing.as_str(),
            ))
            .into()),
        }
    }
}
