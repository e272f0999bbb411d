//! Somebody takes a deployment from one state to another.

use contracts::{
    Problem,
    biller::{Deployment, TransitionDeployment},
};
use messaging::{Execute, Refusal};
use sqlx::PgConnection;

use crate::{
    Biller,
    domain::{
        deployment::{self, Change, Happening},
        lifecycle,
    },
    store::{self, deployment::By, storable},
};

impl Execute<TransitionDeployment> for Biller {
    async fn execute(
        &self,
        tx: &mut PgConnection,
        command: TransitionDeployment,
    ) -> Result<Deployment, Refusal> {
        let TransitionDeployment { scope, id, to, reason, actor } = command;
        let Some(before) = store::deployment::lock(tx, id, scope.tenant()).await? else {
            return Err(Problem::not_found().into());
        };
        deployment::check_reason(reason.as_deref())?;
        deployment::check_transition(&scope, before.state, to)?;
        let now = storable(self.clock.now());
        let after = lifecycle::transitioned(&before, to, now)
            .map_err(|refused| Problem::unprocessable("/to", refused.to_string()))?;
        let change = Change { after: after.clone(), happening: Happening::Transitioned(before.state) };
        store::deployment::save(tx, vec![change], By::actor(&actor, reason.as_deref()), now).await?;
        Ok(after)
    }
}
