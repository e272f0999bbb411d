//! A page of the living projects.

use contracts::{
    Problem,
    paging::{LIMIT_MAX, Page},
    syncer::{ListProjects, Project},
};
use messaging::{Answer, Refusal, ScopedTx};

use crate::{Syncer, domain::cursor, store::inventory};

impl Answer<ListProjects> for Syncer {
    async fn answer(&self, tx: &mut ScopedTx, query: ListProjects) -> Result<Page<Project>, Refusal> {
        let ListProjects { scope, page } = query;
        let after = page.cursor.as_deref().map(|cursor| cursor::decode(&scope, cursor)).transpose();
        let Ok(after) = after else {
            return Err(Problem::unprocessable("cursor", "not a cursor of this listing").into());
        };
        if !(1..=LIMIT_MAX).contains(&page.limit) {
            return Err(Problem::unprocessable("limit", format!("must be 1 to {LIMIT_MAX}")).into());
        }
        let limit = usize::from(page.limit);
        let mut items = inventory::projects(tx, scope.tenant(), after, i64::from(page.limit) + 1).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().map(|project| project.id.as_uuid());
        Ok(Page { items, next_cursor: last.filter(|_| more).map(|last| cursor::encode(&scope, last)) })
    }
}
