//! An operator sets the unit price of a billing kind from a day on.

use contracts::{
    Problem, Service,
    biller::{ResourcePrice, ResourcePriceSet, SetResourcePrice},
};
use messaging::{
    Execute, Refusal,
    outbox::{self, Draft},
};
use sqlx::PgConnection;

use crate::{
    Biller,
    domain::catalog::{check_day, check_price},
    store,
};

impl Execute<SetResourcePrice> for Biller {
    async fn execute(
        &self,
        tx: &mut PgConnection,
        command: SetResourcePrice,
    ) -> Result<ResourcePrice, Refusal> {
        let SetResourcePrice { price, actor } = command;
        check_price("/unit_price_cents", price.unit_price_cents)?;
        check_day("/effective_from", price.effective_from)?;
        if !store::catalog::price::insert(tx, &price).await? {
            let detail = format!(
                "{} has a price in {} from {} already, and a price that was set does not change. Set one from a later day.",
                price.resource_kind, price.currency, price.effective_from,
            );
            return Err(Problem::conflict(detail).into());
        }
        let event = ResourcePriceSet { price: price.clone(), actor };
        outbox::add(tx, &[Draft::event(Service::Biller, &event, self.clock.now())?]).await?;
        Ok(price)
    }
}
