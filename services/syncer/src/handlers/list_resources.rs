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

/// Largest page, in bytes of JSON: what one message carries, with room to spare. A page is cut short before it is
/// refused for its size.
const PAGE_BYTES_MAX: usize = 900_000;

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
        let fit = fitting(&items)?;
        let more = items.len() > limit.min(fit);
        items.truncate(limit.min(fit));
        let last = items.last().map(|resource| resource.state.id.as_uuid());
        let next_cursor = last.filter(|_| more).map(|last| cursor::encode(&question, last));
        Ok(Page { items, next_cursor })
    }
}

/// How many of the first items fit on a page; at least one.
fn fitting(items: &[Resource]) -> Result<usize, serde_json::Error> {
    let mut bytes = 0;
    for (index, item) in items.iter().enumerate() {
        bytes += serde_json::to_vec(item)?.len();
        if bytes > PAGE_BYTES_MAX {
            return Ok(index.max(1));
        }
    }
    Ok(items.len())
}
