//! How much each deployment used.

use std::collections::BTreeMap;

use contracts::{
    Problem, TenantId,
    ids::DeploymentId,
    meterer::{DeploymentUsage, ListDeploymentUsage},
    paging::{LIMIT_MAX, Page},
};
use messaging::{Answer, Refusal, ScopedTx};

use crate::{
    Meterer,
    domain::{calendar, cursor},
    store::{
        llm_usage_daily,
        usage_records::{self, Span},
    },
};

impl Answer<ListDeploymentUsage> for Meterer {
    async fn answer(
        &self,
        tx: &mut ScopedTx,
        query: ListDeploymentUsage,
    ) -> Result<Page<DeploymentUsage>, Refusal> {
        let ListDeploymentUsage { scope, from, to, page } = query;
        calendar::check_span(from, to).map_err(Problem::from)?;
        let question = (&scope, from, to);
        let after = page.cursor.as_deref().map(|text| cursor::decode::<DeploymentId>(&question, text));
        let after = after.transpose().map_err(|error| Problem::unprocessable("cursor", error.to_string()))?;
        if !(1..=LIMIT_MAX).contains(&page.limit) {
            return Err(Problem::unprocessable("limit", format!("must be 1 to {LIMIT_MAX}")).into());
        }

        // Each table's first deployments are more than a page's, so the first of all are among them.
        let limit = usize::from(page.limit);
        let more = i64::from(page.limit) + 1;
        let span = Span { from, to, deployment_id: None, tenant_id: scope.tenant() };
        let mut found: BTreeMap<DeploymentId, TenantId> = BTreeMap::new();
        found.extend(usage_records::deployments(tx, &span, after, more).await?);
        found.extend(llm_usage_daily::deployments(tx, &span, after, more).await?);

        let mut items: Vec<DeploymentUsage> = found
            .into_iter()
            .map(|(deployment_id, tenant_id)| DeploymentUsage {
                deployment_id,
                tenant_id,
                kinds: Vec::new(),
                llm: Vec::new(),
            })
            .collect();
        let is_last = items.len() <= limit;
        items.truncate(limit);

        let deployments: Vec<DeploymentId> = items.iter().map(|item| item.deployment_id).collect();
        let place = |id: DeploymentId| deployments.binary_search(&id).ok();
        for (deployment, usage) in usage_records::by_deployment(tx, from, to, &deployments).await? {
            if let Some(place) = place(deployment) {
                items[place].kinds.push(usage);
            }
        }
        for (deployment, usage) in llm_usage_daily::by_deployment(tx, from, to, &deployments).await? {
            if let Some(place) = place(deployment) {
                items[place].llm.push(usage);
            }
        }

        let last = deployments.last().filter(|_| !is_last);
        let next_cursor = last.map(|last| cursor::encode(&question, last));
        Ok(Page { items, next_cursor })
    }
}
