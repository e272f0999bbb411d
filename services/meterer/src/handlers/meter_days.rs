//! The hour has come to meter what is complete and not yet metered; usually the day before.

use contracts::meterer::MeterDays;
use messaging::{HandlerError, Intended, Outcome, Perform, Received};
use sqlx::PgConnection;
use tracing::info;

use crate::{Meterer, domain::calendar, store};

impl Perform<MeterDays> for Meterer {
    type Intent = ();
    type Answer = ();

    async fn intend(
        &self,
        _: &mut PgConnection,
        _: &MeterDays,
        _: &Received,
    ) -> Result<Intended<()>, HandlerError> {
        Ok(Intended::Call(()))
    }

    async fn call(&self, (): &()) -> Result<(), HandlerError> {
        // Each day in a transaction of its own, which looks anew how far metering is: another replica may be at it too,
        // and a message may have opened a day again.
        loop {
            let now = self.clock.now();
            let mut tx = self.pool.begin().await?;
            store::lock_metering(&mut tx).await?;
            let progress = store::progress::get(&mut tx, now).await?;
            let Some(day) = calendar::next_day(&progress, now) else { return Ok(()) };
            let metered = store::metering::meter_day(&mut tx, day, now).await?;
            store::progress::advance(&mut tx, day).await?;
            tx.commit().await?;
            info!(%day, metered.records, metered.changed, metered.unmetered, "metered a day");
        }
    }

    async fn record(&self, _: &mut PgConnection, (): (), (): ()) -> Result<Outcome, HandlerError> {
        Ok(Outcome::Done)
    }
}
