//! The night has come to delete what is older than its retention.

use contracts::meterer::ApplyRetention;
use messaging::{HandlerError, Intended, Outcome, Perform, Received};
use sqlx::PgConnection;
use tracing::info;

use crate::{
    Meterer,
    domain::retention::{self, Expired},
    store,
};

impl Perform<ApplyRetention> for Meterer {
    type Intent = Vec<Expired>;
    type Answer = ();

    async fn intend(
        &self,
        tx: &mut PgConnection,
        _: &ApplyRetention,
        _: &Received,
    ) -> Result<Intended<Vec<Expired>>, HandlerError> {
        let configs = store::metering_config::all(tx).await?;
        Ok(Intended::Call(retention::expired(&configs, self.clock.now().date_naive())))
    }

    async fn call(&self, expired: &Vec<Expired>) -> Result<(), HandlerError> {
        for expired in expired {
            let mut deleted = 0;
            loop {
                let mut tx = self.pool.begin().await?;
                let some = store::retention::delete_some(&mut tx, expired).await?;
                tx.commit().await?;
                deleted += some;
                if some < store::retention::BATCH.unsigned_abs() {
                    break;
                }
            }
            if deleted > 0 {
                info!(?expired, deleted, "deleted what is older than its retention");
            }
        }
        Ok(())
    }

    async fn record(&self, _: &mut PgConnection, _: Vec<Expired>, (): ()) -> Result<Outcome, HandlerError> {
        Ok(Outcome::Done)
    }
}
