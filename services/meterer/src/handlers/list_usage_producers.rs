//! How far the numbers of the producers have come. Operators only.

use contracts::{
    Problem, Scope,
    meterer::{ListUsageProducers, UsageProducer},
    paging::Page,
};
use messaging::{Answer, Refusal, ScopedTx, page::Asked};

use crate::{Meterer, store::usage_producers};

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
        let asked = Asked::parse(("producers", scope), &page)?;
        let after: Option<&String> = asked.after.as_ref();
        let items = usage_producers::page(tx, after.map(String::as_str), asked.rows()).await?;
        Ok(asked.answer(items, |item| item.producer.clone())?)
    }
}
