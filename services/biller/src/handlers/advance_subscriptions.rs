//! Every five minutes: trials end whose time has come, and periods begin. What was missed is caught up, and what an
//! operator holds back waits.

use contracts::{
    Service,
    biller::{AdvanceSubscriptions, DeploymentState},
};
use messaging::{
    HandlerError, Intended, Outcome, Perform, Received,
    outbox::{self, Draft},
};
use sqlx::PgConnection;

use crate::{
    Biller,
    domain::{
        deployment::{Change, Happening},
        lifecycle, subscription,
    },
    store::{self, deployment::By, storable},
};

/// The name in histories.
const NAME: &str = "advance-subscriptions";
/// Deployments that one run moves, of each sort. When there are more, the run asks for another: a month's first
/// day must not lock every deployment in one transaction.
const CHUNK: i64 = 500;

impl Perform<AdvanceSubscriptions> for Biller {
    // All of it is Postgres's; nothing is called.
    type Intent = ();
    type Answer = ();

    async fn intend(
        &self,
        tx: &mut PgConnection,
        _: &AdvanceSubscriptions,
        _: &Received,
    ) -> Result<Intended<()>, HandlerError> {
        let now = storable(self.clock.now());
        let over = store::deployment::trials_over(tx, now, CHUNK).await?;
        let mut more = is_full(over.len());
        let changes = over.iter().filter_map(|before| {
            let after = lifecycle::trial_ended(before, now)?;
            Some(Change { after, happening: Happening::Transitioned(DeploymentState::Trial) })
        });
        store::deployment::save(tx, changes.collect(), By::job(NAME), now).await?;

        let today = now.date_naive();
        let over = store::deployment::periods_over(tx, today, CHUNK).await?;
        more |= is_full(over.len());
        let changes = over.iter().filter_map(|before| {
            let after = subscription::period_begun(before, today)?;
            Some(Change { after, happening: Happening::PeriodBegun })
        });
        store::deployment::save(tx, changes.collect(), By::job(NAME), now).await?;

        if more {
            let again = Draft::job(Service::Biller, &AdvanceSubscriptions {}, now)?;
            outbox::add(tx, &[again]).await?;
        }
        Ok(Intended::Settled(Outcome::Done))
    }

    async fn call(&self, (): &()) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn record(&self, _: &mut PgConnection, (): (), (): ()) -> Result<Outcome, HandlerError> {
        Ok(Outcome::Done)
    }
}

fn is_full(found: usize) -> bool {
    i64::try_from(found).is_ok_and(|found| found >= CHUNK)
}
