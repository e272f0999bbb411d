//! Every sync job: bring one listing up to date.

use contracts::syncer::SyncJob;
use messaging::{HandlerError, Intended, Outcome, Perform, Received};
use sqlx::PgConnection;

use crate::{
    Syncer,
    domain::listing::Run,
    store::{self, StoreError},
    walk::{self, Walked},
};

impl<J: SyncJob> Perform<J> for Syncer {
    type Intent = Run;
    type Answer = Walked;

    async fn intend(
        &self,
        tx: &mut PgConnection,
        _: &J,
        _: &Received,
    ) -> Result<Intended<Run>, HandlerError> {
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
