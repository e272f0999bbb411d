//! How far the numbers of the producers have come. Operators only.

use contracts::{
    Problem, Scope,
    meterer::{ListUsageProducers, UsageProducer},
    paging::{LIMIT_MAX, Page},
};
use messaging::{Answer, Refusal, ScopedTx};

use crate::{Meterer, domain::cursor, store::usage_producers};

impl Answer<ListUsageProducers> for Meterer {
    async fn answer(
        &self,
        tx: &mut ScopedTx,
        query: ListUsageProducers,
    ) -> Result<Page<UsageProducer>, Refusal> {
        let ListUsageProducers { scope, page } = query;
        if scope != Scope::Operator {
            return Err(Problem::not_found().into());
        }
        let after = page.cursor.as_deref().map(|text| cursor::decode::<String>(&scope, text));
        let after = after.transpose().map_err(|error| Problem::unprocessable("cursor", error.to_string()))?;
        if !(1..=LIMIT_MAX).contains(&page.limit) {
            return Err(Problem::unprocessable("limit", format!("must be 1 to {LIMIT_MAX}")).into());
        }
        let limit = usize::from(page.limit);
        let mut items = usage_producers::page(tx, after.as_deref(), i64::from(page.limit) + 1).await?;
        let is_last = items.len() <= limit;
        items.truncate(limit);
        let last = items.last().filter(|_| !is_last).map(|item| &item.producer);
        let next_cursor = last.map(|last| cursor::encode(&scope, last));
        Ok(Page { items, next_cursor })
    }
}
