//! An operator says how a billing kind is metered.

use contracts::{
    Problem,
    meterer::{ConfigureMetering, Granularity, MeteringConfig},
};
use messaging::{Execute, Refusal};
use sqlx::PgConnection;

use crate::{
    Meterer,
    domain::retention::{self, DAYS_MAX, DAYS_MIN},
    store,
};

impl Execute<ConfigureMetering> for Meterer {
    async fn execute(
        &self,
        tx: &mut PgConnection,
        command: ConfigureMetering,
    ) -> Result<MeteringConfig, Refusal> {
        let config = command.config;
        let known = store::metering_config::all(tx).await?;
        if !known.iter().any(|known| known.billing_kind == config.billing_kind) {
            return Err(Problem::not_found().into());
        }
        if !(DAYS_MIN..=DAYS_MAX).contains(&config.retention_days) {
            let detail = format!("must be {DAYS_MIN} to {DAYS_MAX}");
            return Err(Problem::unprocessable("/retention_days", detail).into());
        }
        if config.granularity == Granularity::Hourly && !retention::is_metered(config.billing_kind.as_str()) {
            return Err(
                Problem::unprocessable("/granularity", "this kind is counted by the day alone").into()
            );
        }
        // A day that is being metered is metered by one configuration.
        store::lock_metering(tx).await?;
        if !store::metering_config::save(tx, &config).await? {
            return Err(Problem::not_found().into());
        }
        Ok(config)
    }
}
