//! How much each deployment used.

use std::collections::BTreeMap;

use contracts::{
    Problem, TenantId,
    ids::DeploymentId,
    meterer::{DeploymentUsage, ListDeploymentUsage},
    paging::Page,
};
use messaging::{Answer, Refusal, ScopedTx, page::Asked};
use uuid::Uuid;

use crate::{
    Meterer,
    domain::calendar,
    store::{
        known_deployment, llm_usage_daily,
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
        let asked = Asked::parse(("deployments", &scope, from, to), &page)?;

        // Each table's first deployments are as many as a page takes, so the first of all are among them.
        let (after, more) = (asked.after, asked.rows());
        let span = Span { from, to, deployment_id: None, tenant_id: scope.tenant() };
        let mut found: BTreeMap<DeploymentId, TenantId> = BTreeMap::new();
        found.extend(usage_records::deployments(tx, &span, after, more).await?);
        found.extend(llm_usage_daily::deployments(tx, &span, after, more).await?);
        let found = found.into_iter().take(usize::try_from(more).unwrap_or_default());
        let (deployments, tenants): (Vec<DeploymentId>, Vec<TenantId>) = found.unzip();
        let ids: Vec<Uuid> = deployments.iter().map(|id| id.as_uuid()).collect();

        // Biller says whose a deployment is; usage may be known before it.
        let mut known = known_deployment::find(tx, &ids).await?;
        let mut items: Vec<DeploymentUsage> = deployments
            .iter()
            .zip(tenants)
            .map(|(id, tenant_id)| DeploymentUsage {
                deployment_id: *id,
                tenant_id: known.remove(id).map_or(tenant_id, |known| known.tenant_id),
                kinds: Vec::new(),
                llm: Vec::new(),
            })
            .collect();
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
        Ok(asked.answer(items, |item| item.deployment_id)?)
    }
}
