//! An operator wants the state of every deployment told again.

use contracts::{biller::RepublishDeployments, outbox::Republished};
use messaging::{Execute, Refusal, Restate};
use sqlx::PgConnection;

use crate::{Biller, store};

/// Deployments told per statement.
const CHUNK: i64 = 1_000;

impl Execute<RepublishDeployments> for Biller {
    async fn execute(&self, tx: &mut PgConnection, _: RepublishDeployments) -> Result<Republished, Refusal> {
        let messages = self.restate(tx).await?;
        Ok(Republished { messages })
    }
}

impl Restate for Biller {
    async fn restate(&self, tx: &mut PgConnection) -> Result<u64, Refusal> {
        let now = self.clock.now();
        let (mut after, mut messages) = (None, 0);
        loop {
            let told = store::deployment::republish_state(tx, after, CHUNK, now).await?;
            let Some(last) = told.last else { return Ok(messages) };
            messages += told.count;
            after = Some(last);
        }
    }
}
