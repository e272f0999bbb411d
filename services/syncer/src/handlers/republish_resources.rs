//! An operator wants the state of every resource told again.

use contracts::{outbox::Republished, syncer::RepublishResources};
use messaging::{Execute, Refusal, Restate};
use sqlx::PgConnection;

use crate::{Syncer, store};

/// Resources told per statement.
const CHUNK: i64 = 1_000;

impl Execute<RepublishResources> for Syncer {
    async fn execute(&self, tx: &mut PgConnection, _: RepublishResources) -> Result<Republished, Refusal> {
        let messages = self.restate(tx).await?;
        Ok(Republished { messages })
    }
}

impl Restate for Syncer {
    async fn restate(&self, tx: &mut PgConnection) -> Result<u64, Refusal> {
        let now = self.clock.now();
        let (mut after, mut messages) = (None, 0);
        loop {
            let told = store::resource::republish_state(tx, after, CHUNK, now).await?;
            let Some(last) = told.last else { return Ok(messages) };
            messages += told.count;
            after = Some(last);
        }
    }
}
