//! How the listings stand. Operators only: to anyone else there is no such thing.

use contracts::{
    Problem, Scope,
    paging::Page,
    syncer::{ListListings, ListingStatus},
};
use messaging::{Answer, Refusal, ScopedTx};

use crate::{Syncer, store};

impl Answer<ListListings> for Syncer {
    async fn answer(&self, tx: &mut ScopedTx, query: ListListings) -> Result<Page<ListingStatus>, Refusal> {
        match query.scope {
            Scope::Operator => Ok(Page { items: store::listing::statuses(tx).await?, next_cursor: None }),
            Scope::Tenant(_) => Err(Problem::not_found().into()),
        }
    }
}
