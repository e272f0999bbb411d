//! An operator puts a draft on offer; what was on offer retires with the same commit.

use contracts::{
    Problem, Service,
    biller::{PlanVersion, PlanVersionPublished, PlanVersionStatus, PublishPlanVersion},
};
use messaging::{
    Execute, Refusal,
    outbox::{self, Draft},
};
use sqlx::PgConnection;

use crate::{
    Biller,
    store::{self, storable},
};

impl Execute<PublishPlanVersion> for Biller {
    async fn execute(
        &self,
        tx: &mut PgConnection,
        command: PublishPlanVersion,
    ) -> Result<PlanVersion, Refusal> {
        let PublishPlanVersion { id, actor } = command;
        if !store::catalog::plan::lock_of(tx, id).await? {
            return Err(Problem::not_found().into());
        }
        // Read after the lock: somebody may have published it meanwhile.
        let before = store::catalog::version(tx, id).await?.ok_or(sqlx::Error::RowNotFound)?;
        match before.status {
            PlanVersionStatus::Draft => {}
            PlanVersionStatus::Active | PlanVersionStatus::Retired => {
                let detail = format!(
                    "Version {} of {} is {}; only a draft can be published. To go back to what it offers, make a new \
                     version of it.",
                    before.version,
                    before.plan_code,
                    before.status.as_str(),
                );
                return Err(Problem::conflict(detail).into());
            }
        }
        // Subscribers of the other currency could never migrate to it.
        let active = store::catalog::active_version(tx, &before.plan_code).await?;
        if let Some(active) = active.filter(|active| active.currency != before.currency) {
            let detail = format!(
                "Version {} of {} is in {}, and what is on offer in {}. A plan keeps its currency: make another plan.",
                before.version, before.plan_code, before.currency, active.currency,
            );
            return Err(Problem::conflict(detail).into());
        }
        let now = self.clock.now();
        store::catalog::version::publish(tx, &before.plan_code, id, storable(now)).await?;
        let version = store::catalog::version(tx, id).await?.ok_or(sqlx::Error::RowNotFound)?;
        let event = PlanVersionPublished { version: version.clone(), actor };
        outbox::add(tx, &[Draft::event(Service::Biller, &event, now)?]).await?;
        Ok(version)
    }
}
