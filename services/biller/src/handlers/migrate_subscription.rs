//! An operator binds a deployment's subscription to another plan version.

use contracts::{
    Problem,
    biller::{Deployment, MigrateSubscription},
};
use messaging::{Execute, Refusal};
use sqlx::PgConnection;

use crate::{
    Biller,
    domain::{
        deployment::{self, Change, Happening},
        subscription,
    },
    store::{self, deployment::By, storable},
};

impl Execute<MigrateSubscription> for Biller {
    async fn execute(
        &self,
        tx: &mut PgConnection,
        command: MigrateSubscription,
    ) -> Result<Deployment, Refusal> {
        let MigrateSubscription { id, plan_version_id, reason, actor } = command;
        let Some(before) = store::deployment::lock(tx, id, None).await? else {
            return Err(Problem::not_found().into());
        };
        deployment::check_reason(reason.as_deref())?;
        let to = store::catalog::version(tx, plan_version_id).await?;
        let after = subscription::migrated(&before, to.as_ref())?;
        let (by, now) = (By::actor(&actor, reason.as_deref()), storable(self.clock.now()));
        store::deployment::record_migration(tx, &before, &after, by, now).await?;
        let change = Change { after: after.clone(), happening: Happening::Migrated };
        store::deployment::save(tx, vec![change], by, now).await?;
        Ok(after)
    }
}
