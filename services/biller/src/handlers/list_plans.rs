//! A page of the plans, each with the version on offer.

use contracts::{
    biller::{ListPlans, Plan},
    paging::Page,
};
use messaging::{Answer, Refusal, ScopedTx, page::Asked};

use crate::{Biller, store::catalog::plan};

impl Answer<ListPlans> for Biller {
    async fn answer(&self, tx: &mut ScopedTx, query: ListPlans) -> Result<Page<Plan>, Refusal> {
        let asked = Asked::parse(("plans", query.scope), &query.page)?;
        let plans = plan::page(tx, asked.after.as_ref(), asked.rows()).await?;
        Ok(asked.answer(plans, |plan| plan.code.clone())?)
    }
}
