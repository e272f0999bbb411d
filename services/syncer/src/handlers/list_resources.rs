//! A page of the inventory.

use contracts::{
    Problem,
    paging::{LIMIT_MAX, Page},
    syncer::{ListResources, Resource, ResourceKind},
};
use messaging::{Answer, Refusal, ScopedTx};

use crate::{
    Syncer,
    domain::cursor,
    store::inventory::{self, Filter},
};

impl Answer<ListResources> for Syncer {
    async fn answer(&self, tx: &mut ScopedTx, query: ListResources) -> Result<Page<Resource>, Refusal> {
        let ListResources { scope, kind, status, project_id, deployment_id, tenant_id, page } = query;
        let question = (&scope, &kind, &status, project_id, deployment_id, &tenant_id);
        let after = page.cursor.as_deref().map(|cursor| cursor::decode(&question, cursor)).transpose();
        let Ok(after) = after else {
            return Err(
                Problem::unprocessable("cursor", "not a cursor of this listing and these filters").into()
            );
        };
        if !(1..=LIMIT_MAX).contains(&page.limit) {
            return Err(Problem::unprocessable("limit", format!("must be 1 to {LIMIT_MAX}")).into());
        }
        // A tenant who asks for another's resources sees what is there for him: nothing.
        if scope.tenant().is_some() && tenant_id.is_some() && scope.tenant() != tenant_id.as_ref() {
            return Ok(Page { items: Vec::new(), next_cursor: None });
        }
        let filter = Filter {
            kind: kind.as_ref().map(ResourceKind::as_str),
            status: status.as_deref(),
            project_id,
            deployment_id,
            tenant_id: scope.tenant().or(tenant_id.as_ref()),
        };
        let limit = usize::from(page.limit);
        let mut items = inventory::resources(tx, &filter, after, i64::from(page.limit) + 1).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().map(|resource| resource.state.id.as_uuid());
        let next_cursor = last.filter(|_| more).map(|last| cursor::encode(&question, last));
        Ok(Page { items, next_cursor })
    }
}
