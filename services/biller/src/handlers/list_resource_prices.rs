//! A page of the unit prices, past and future ones too.

use contracts::{
    biller::{ListResourcePrices, ResourcePrice},
    paging::Page,
};
use messaging::{Answer, Refusal, ScopedTx, page::Asked};

use crate::{Biller, store::catalog::price};

impl Answer<ListResourcePrices> for Biller {
    async fn answer(
        &self,
        tx: &mut ScopedTx,
        query: ListResourcePrices,
    ) -> Result<Page<ResourcePrice>, Refusal> {
        let asked = Asked::parse(("resource prices", query.scope), &query.page)?;
        let prices = price::page(tx, asked.after.as_ref(), asked.rows()).await?;
        Ok(asked
            .answer(prices, |price| (price.resource_kind.clone(), price.currency, price.effective_from))?)
    }
}
