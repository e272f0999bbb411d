//! An operator wants a day metered, or metered again after a correction.

use contracts::{
    Problem,
    meterer::{MeterDay, MeteredDay},
};
use messaging::{Execute, Refusal};
use sqlx::PgConnection;

use crate::{Meterer, domain::calendar, store};

impl Execute<MeterDay> for Meterer {
    async fn execute(&self, tx: &mut PgConnection, command: MeterDay) -> Result<MeteredDay, Refusal> {
        let (day, now) = (command.day, self.clock.now());
        let last = calendar::last_complete(now);
        if day > last {
            let detail = format!("is not complete: the last day that is, is {last}");
            return Err(Problem::unprocessable("/day", detail).into());
        }
        store::lock_metering(tx).await?;
        let earliest = store::progress::get(tx, now).await?.earliest;
        if day < earliest {
            let detail = format!("is older than what is kept, which begins at {earliest}");
            return Err(Problem::unprocessable("/day", detail).into());
        }
        // How far metering is stays as it is: days between may be missing.
        Ok(store::metering::meter_day(tx, day, now).await?)
    }
}
