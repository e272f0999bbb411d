//! What was rejected for differing from what is recorded.

use contracts::{
    Problem,
    meterer::{ListUsageConflicts, UsageConflict},
    paging::{LIMIT_MAX, Page},
};
use messaging::{Answer, Refusal, ScopedTx};

use crate::{Meterer, domain::cursor, store::llm_usage_conflicts};

impl Answer<ListUsageConflicts> for Meterer {
    async fn answer(
        &self,
        tx: &mut ScopedTx,
        query: ListUsageConflicts,
    ) -> Result<Page<UsageConflict>, Refusal> {
        let ListUsageConflicts { scope, deployment_id, page } = query;
        let question = (&scope, deployment_id);
        let before = page.cursor.as_deref().map(|text| cursor::decode::<i64>(&question, text));
        let before =
            before.transpose().map_err(|error| Problem::unprocessable("cursor", error.to_string()))?;
        if !(1..=LIMIT_MAX).contains(&page.limit) {
            return Err(Problem::unprocessable("limit", format!("must be 1 to {LIMIT_MAX}")).into());
        }
        let limit = usize::from(page.limit);
        let more = i64::from(page.limit) + 1;
        let mut rows = llm_usage_conflicts::page(tx, scope.tenant(), deployment_id, before, more).await?;
        let is_last = rows.len() <= limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| !is_last).map(|(place, _)| *place);
        let next_cursor = last.map(|last| cursor::encode(&question, &last));
        Ok(Page { items: rows.into_iter().map(|(_, conflict)| conflict).collect(), next_cursor })
    }
}
