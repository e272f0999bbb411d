//! Every sync job: bring one listing up to date.

use std::time::Duration;

use contracts::syncer::SyncJob;
use messaging::{HandlerError, Intended, Outcome, Perform, Received};
use sqlx::PgConnection;

use crate::{
    Syncer,
    domain::listing::Run,
    store::{self, StoreError},
    walk::{self, Walked},
};

/// How long a sync waits for those it builds on.
const WAIT: Duration = Duration::from_millis(500);
/// How often it waits.
const WAITS_MAX: i64 = 60;

impl<J: SyncJob> Perform<J> for Syncer {
    type Intent = Run;
    type Answer = Walked;

    async fn intend(
        &self,
        tx: &mut PgConnection,
        _: &J,
        received: &Received,
    ) -> Result<Intended<Run>, HandlerError> {
        // Only the very first syncs of an installation meet this, and not for ever.
        let waits = received.deliveries <= WAITS_MAX
            && store::listing::waits(tx, J::LISTING, received.deliveries > 1).await?;
        if waits {
            return Ok(Intended::Settled(Outcome::RetryAfter(WAIT)));
        }
        Ok(Intended::Call(store::listing::begin(tx, J::LISTING, self.clock.now()).await?))
    }

    async fn call(&self, run: &Run) -> Result<Walked, HandlerError> {
        self.walk(run).await
    }

    async fn record(&self, tx: &mut PgConnection, run: Run, walked: Walked) -> Result<Outcome, HandlerError> {
        let recorded = match walked {
            Walked::Complete(complete) => walk::conclude(tx, &run, &complete, self.clock.now()).await,
            Walked::Failed(reason) => match store::listing::lock(tx, &run).await {
                Ok(()) => store::listing::fail(tx, &run, &reason).await,
                Err(overtaken) => Err(overtaken),
            },
            Walked::Overtaken => Err(StoreError::Overtaken),
        };
        match recorded {
            // The run that overtook this one does its work.
            Ok(()) | Err(StoreError::Overtaken) => Ok(Outcome::Done),
            Err(error) => Err(error.into()),
        }
    }
}
