//! A deployment without a live subscription gets one, to the active version of a plan.

use contracts::{
    Problem,
    biller::{Deployment, SubscribeDeployment},
    ids::SubscriptionId,
};
use messaging::{Execute, Refusal};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Biller,
    domain::subscription::{self, Beginning},
    store::{self, deployment::By, storable},
};

impl Execute<SubscribeDeployment> for Biller {
    async fn execute(
        &self,
        tx: &mut PgConnection,
        command: SubscribeDeployment,
    ) -> Result<Deployment, Refusal> {
        let SubscribeDeployment { scope, id, plan_code, addons, actor } = command;
        let Some(before) = store::deployment::lock(tx, id, scope.tenant()).await? else {
            return Err(Problem::not_found().into());
        };
        subscription::check_can_begin(&before)?;
        let now = storable(self.clock.now());
        let offered = store::deployment::offered(tx, &plan_code, &addons).await?;
        let beginning = Beginning {
            id: SubscriptionId::from_uuid(Uuid::now_v7()),
            addons: &addons,
            trial_days: None,
            state: before.state,
            now,
        };
        let begun = subscription::begin(beginning, &offered)?;
        let after = Deployment { subscription: Some(begun), version: before.version + 1, ..before };
        store::deployment::subscribe(tx, &after, By::actor(&actor, None), now).await?;
        Ok(after)
    }
}
