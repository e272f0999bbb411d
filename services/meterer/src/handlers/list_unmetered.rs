//! What should have counted and could not.

use chrono::NaiveDate;
use contracts::{
    Problem,
    ids::ResourceId,
    meterer::{ListUnmetered, Unmetered},
    paging::{LIMIT_MAX, Page},
};
use messaging::{Answer, Refusal, ScopedTx};

use crate::{
    Meterer,
    domain::{calendar, cursor},
    store::{unmetered_resources, usage_records::Span},
};

impl Answer<ListUnmetered> for Meterer {
    async fn answer(&self, tx: &mut ScopedTx, query: ListUnmetered) -> Result<Page<Unmetered>, Refusal> {
        let ListUnmetered { scope, deployment_id, from, to, page } = query;
        calendar::check_span(from, to).map_err(Problem::from)?;
        let question = (&scope, deployment_id, from, to);
        let after =
            page.cursor.as_deref().map(|text| cursor::decode::<(NaiveDate, ResourceId)>(&question, text));
        let after = after.transpose().map_err(|error| Problem::unprocessable("cursor", error.to_string()))?;
        if !(1..=LIMIT_MAX).contains(&page.limit) {
            return Err(Problem::unprocessable("limit", format!("must be 1 to {LIMIT_MAX}")).into());
        }
        let span = Span { from, to, deployment_id, tenant_id: scope.tenant() };
        let mut items = unmetered_resources::page(tx, &span, after, i64::from(page.limit) + 1).await?;
        let is_last = items.len() <= usize::from(page.limit);
        items.truncate(usize::from(page.limit));
        let last = items.last().filter(|_| !is_last).map(|item| (item.day, item.resource_id));
        let next_cursor = last.map(|last| cursor::encode(&question, &last));
        Ok(Page { items, next_cursor })
    }
}
