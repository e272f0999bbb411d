//! A page of the deployments, oldest first.

use contracts::{
    biller::{Deployment, ListDeployments},
    paging::Page,
};
use messaging::{Answer, Refusal, ScopedTx, page::Asked};

use crate::{
    Biller,
    store::deployment::{self, Filter},
};

impl Answer<ListDeployments> for Biller {
    async fn answer(&self, tx: &mut ScopedTx, query: ListDeployments) -> Result<Page<Deployment>, Refusal> {
        let ListDeployments { scope, state, tenant_id, page } = query;
        let asked = Asked::parse(("deployments", scope.clone(), state, tenant_id.clone()), &page)?;
        // A tenant who asks for another's deployments sees what is there for him: nothing.
        if scope.tenant().is_some() && tenant_id.is_some() && scope.tenant() != tenant_id.as_ref() {
            return Ok(Page { items: Vec::new(), next_cursor: None });
        }
        let filter = Filter { state, tenant_id: scope.tenant().or(tenant_id.as_ref()) };
        let deployments = deployment::page(tx, filter, asked.after, asked.rows()).await?;
        Ok(asked.answer(deployments, |deployment| deployment.id)?)
    }
}
