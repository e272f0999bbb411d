//! How each billing kind is metered. Operators only: to anyone else there is no such thing.

use contracts::{
    Problem, Scope,
    meterer::{ListMeteringConfig, MeteringConfig},
    paging::Page,
};
use messaging::{Answer, Refusal, ScopedTx};

use crate::{Meterer, store};

impl Answer<ListMeteringConfig> for Meterer {
    async fn answer(
        &self,
        tx: &mut ScopedTx,
        query: ListMeteringConfig,
    ) -> Result<Page<MeteringConfig>, Refusal> {
        match query.scope {
            Scope::Operator => Ok(Page { items: store::metering_config::all(tx).await?, next_cursor: None }),
            Scope::Tenant(_) => Err(Problem::not_found().into()),
        }
    }
}
