//! An operator keeps automatic billing actions away from a deployment, or no longer.

use contracts::{
    Problem,
    biller::{Deployment, SetBillingActionSuspended},
};
use messaging::{Execute, Refusal};
use sqlx::PgConnection;

use crate::{
    Biller,
    domain::deployment::{self, Change, Happening},
    store::{self, deployment::By, storable},
};

impl Execute<SetBillingActionSuspended> for Biller {
    async fn execute(
        &self,
        tx: &mut PgConnection,
        command: SetBillingActionSuspended,
    ) -> Result<Deployment, Refusal> {
        let SetBillingActionSuspended { id, suspended, reason, actor } = command;
        let Some(before) = store::deployment::lock(tx, id, None).await? else {
            return Err(Problem::not_found().into());
        };
        deployment::check_reason(reason.as_deref())?;
        let Some(after) = deployment::with_billing_action_suspended(&before, suspended) else {
            return Ok(before);
        };
        let change = Change { after: after.clone(), happening: Happening::BillingActionChanged };
        let (by, now) = (By::actor(&actor, reason.as_deref()), storable(self.clock.now()));
        store::deployment::save(tx, vec![change], by, now).await?;
        Ok(after)
    }
}
