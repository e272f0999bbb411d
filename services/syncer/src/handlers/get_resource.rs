//! One resource with its history. Another tenant's answers as one that does not exist.

use contracts::{
    Problem, Scope,
    syncer::{GetResource, ResourceDetail},
};
use messaging::{Answer, Refusal, ScopedTx};

use crate::{Syncer, store::inventory};

impl Answer<GetResource> for Syncer {
    async fn answer(&self, tx: &mut ScopedTx, query: GetResource) -> Result<ResourceDetail, Refusal> {
        let tenant = query.scope.tenant();
        let Some(resource) = inventory::resource(tx, query.id, tenant).await? else {
            return Err(Problem::not_found().into());
        };
        let mut events = inventory::events(tx, query.id, tenant).await?;
        match query.scope {
            Scope::Operator => {}
            // Which operator did it is not the tenant's business.
            Scope::Tenant(_) => events.iter_mut().for_each(|event| event.actor = None),
        }
        Ok(ResourceDetail { resource, events })
    }
}
