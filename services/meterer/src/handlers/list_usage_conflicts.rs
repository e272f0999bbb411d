//! What was rejected for differing from what is recorded.

use contracts::{
    meterer::{ListUsageConflicts, UsageConflict},
    paging::Page,
};
use messaging::{Answer, Refusal, ScopedTx, page::Asked};

use crate::{Meterer, store::llm_usage_conflicts};

impl Answer<ListUsageConflicts> for Meterer {
    async fn answer(
        &self,
        tx: &mut ScopedTx,
        query: ListUsageConflicts,
    ) -> Result<Page<UsageConflict>, Refusal> {
        let ListUsageConflicts { scope, deployment_id, page } = query;
        let asked = Asked::parse(("conflicts", &scope, deployment_id), &page)?;
        let (tenant, before) = (scope.tenant(), asked.after);
        let rows = llm_usage_conflicts::page(tx, tenant, deployment_id, before, asked.rows()).await?;
        let Page { items, next_cursor } = asked.answer(rows, |(place, _)| *place)?;
        Ok(Page { items: items.into_iter().map(|(_, conflict)| conflict).collect(), next_cursor })
    }
}
