//! A deployment changed: keep what links depend on.

use contracts::biller::LastDeployment;
use messaging::{Handle, HandlerError, Outcome, Received};
use sqlx::PgConnection;

use crate::{Syncer, store};

impl Handle<LastDeployment> for Syncer {
    async fn handle(
        &self,
        tx: &mut PgConnection,
        message: LastDeployment,
        _received: &Received,
    ) -> Result<Outcome, HandlerError> {
        store::known_deployment::save(tx, &message.deployment).await?;
        Ok(Outcome::Done)
    }
}
