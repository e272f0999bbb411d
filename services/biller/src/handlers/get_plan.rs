//! One plan with its versions. Drafts are operators' business.

use contracts::{
    Problem, Scope,
    biller::{GetPlan, PlanDetail},
};
use messaging::{Answer, Refusal, ScopedTx};

use crate::{Biller, store::catalog::plan};

impl Answer<GetPlan> for Biller {
    async fn answer(&self, tx: &mut ScopedTx, query: GetPlan) -> Result<PlanDetail, Refusal> {
        let drafts = match query.scope {
            Scope::Operator => true,
            Scope::Tenant(_) => false,
        };
        plan::detail(tx, &query.code, drafts).await?.ok_or_else(|| Problem::not_found().into())
    }
}
