//! An operator makes an add-on.

use contracts::{
    Problem, Service,
    biller::{Addon, AddonCreated, CreateAddon},
};
use messaging::{
    Execute, Refusal,
    outbox::{self, Draft},
};
use sqlx::PgConnection;

use crate::{
    Biller,
    domain::catalog::{check_name, check_price, check_quantity},
    store::{self, storable},
};

impl Execute<CreateAddon> for Biller {
    async fn execute(&self, tx: &mut PgConnection, command: CreateAddon) -> Result<Addon, Refusal> {
        let CreateAddon { code, name, resource_kind, qty, price_cents, currency, actor } = command;
        check_name("/name", &name)?;
        check_quantity("/qty", qty)?;
        if qty.is_zero() {
            return Err(Problem::unprocessable("/qty", "must be more than 0").into());
        }
        check_price("/price_cents", price_cents)?;
        let now = self.clock.now();
        let created_at = storable(now);
        let addon = Addon { code, name, resource_kind, qty, price_cents, currency, created_at };
        if !store::catalog::addon::insert(tx, &addon).await? {
            return Err(Problem::conflict(format!("There is an add-on {} already.", addon.code)).into());
        }
        let event = AddonCreated { addon: addon.clone(), actor };
        outbox::add(tx, &[Draft::event(Service::Biller, &event, now)?]).await?;
        Ok(addon)
    }
}
