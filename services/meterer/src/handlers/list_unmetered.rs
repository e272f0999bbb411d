//! What should have counted and could not.

use contracts::{
    Problem,
    meterer::{ListUnmetered, Unmetered},
    paging::Page,
};
use messaging::{Answer, Refusal, ScopedTx, page::Asked};

use crate::{
    Meterer,
    domain::calendar,
    store::{unmetered_resources, usage_records::Span},
};

impl Answer<ListUnmetered> for Meterer {
    async fn answer(&self, tx: &mut ScopedTx, query: ListUnmetered) -> Result<Page<Unmetered>, Refusal> {
        let ListUnmetered { scope, deployment_id, from, to, page } = query;
        calendar::check_span(from, to).map_err(Problem::from)?;
        let asked = Asked::parse(("unmetered", &scope, deployment_id, from, to), &page)?;
        let span = Span { from, to, deployment_id, tenant_id: scope.tenant() };
        let items = unmetered_resources::page(tx, &span, asked.after, asked.rows()).await?;
        Ok(asked.answer(items, |item| (item.day, item.resource_id))?)
    }
}
