//! How much was used: metered, and of LLMs.

use contracts::{
    Problem,
    meterer::{GetUsage, UsageReport},
};
use messaging::{Answer, Refusal, ScopedTx};

use crate::{
    Meterer,
    domain::calendar,
    store::{llm_usage_daily, unmetered_resources, usage_records, usage_records::Span},
};

impl Answer<GetUsage> for Meterer {
    async fn answer(&self, tx: &mut ScopedTx, query: GetUsage) -> Result<UsageReport, Refusal> {
        let GetUsage { scope, deployment_id, tenant_id, from, to } = query;
        // A tenant who asks for another's usage sees what is there for him: nothing.
        let span = Span { from, to, deployment_id, tenant_id: tenant_id.as_ref().or(scope.tenant()) };
        match (span.deployment_id, span.tenant_id) {
            (None, None) => calendar::check_everyones_span(from, to),
            _ => calendar::check_span(from, to),
        }
        .map_err(Problem::from)?;
        let mut kinds = usage_records::by_kind(tx, &span).await?;
        let mut llm = llm_usage_daily::report(tx, &span).await?;
        kinds.extend(llm.tokens());
        kinds.sort_by(|one, other| one.billing_kind.cmp(&other.billing_kind));
        let left_out = llm.keep_models(UsageReport::MODELS_MAX);
        let unmetered = unmetered_resources::count(tx, &span).await?;
        Ok(UsageReport {
            from,
            to,
            deployment_id,
            kinds,
            llm_total: llm.total,
            llm_by_model: llm.by_model,
            models_left_out: u64::try_from(left_out).unwrap_or(u64::MAX),
            llm_by_day: llm.by_day,
            unmetered,
        })
    }
}
