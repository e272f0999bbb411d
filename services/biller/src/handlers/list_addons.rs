//! A page of the add-ons.

use contracts::{
    biller::{Addon, ListAddons},
    paging::Page,
};
use messaging::{Answer, Refusal, ScopedTx, page::Asked};

use crate::{Biller, store::catalog::addon};

impl Answer<ListAddons> for Biller {
    async fn answer(&self, tx: &mut ScopedTx, query: ListAddons) -> Result<Page<Addon>, Refusal> {
        let asked = Asked::parse(("addons", query.scope), &query.page)?;
        let addons = addon::page(tx, asked.after.as_ref(), asked.rows()).await?;
        Ok(asked.answer(addons, |addon| addon.code.clone())?)
    }
}
