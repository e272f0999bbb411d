//! A deployment is known, or known better: usage that waited for it counts.

use chrono::SubsecRound;
use contracts::biller::LastDeployment;
use messaging::{Handle, HandlerError, Outcome, Received, parked};
use sqlx::PgConnection;
use tracing::info;

use crate::{
    Meterer,
    domain::llm_usage,
    ingest::{self, Fate},
    store::{
        known_deployment::{self, KnownDeployment},
        llm_usage::{self as usage, INGEST_MAX, Writing},
    },
};

/// Who took up what had waited.
const BY: &str = "meterer";

impl Handle<LastDeployment> for Meterer {
    async fn handle(
        &self,
        tx: &mut PgConnection,
        message: LastDeployment,
        _received: &Received,
    ) -> Result<Outcome, HandlerError> {
        let deployment = message.deployment;
        let news = KnownDeployment {
            deployment_id: deployment.id,
            tenant_id: deployment.tenant_id,
            currency: deployment.subscription.map(|subscription| subscription.currency),
            version: deployment.version,
        };
        let before = known_deployment::find(tx, &[news.deployment_id.as_uuid()]).await?;
        let same = before
            .get(&news.deployment_id)
            .is_some_and(|known| known.tenant_id == news.tenant_id && known.currency == news.currency);
        if !same {
            // What is being taken just now is either counted by what was known, or is there to be found.
            usage::lock(tx, Writing::Alone).await?;
        }
        if known_deployment::save(tx, &news).await? && !same {
            self.take_up(tx, &news).await?;
        }
        Ok(Outcome::Done)
    }
}

impl Meterer {
    /// Counts what waits for a deployment, or says why it still cannot.
    async fn take_up(&self, tx: &mut PgConnection, known: &KnownDeployment) -> Result<(), HandlerError> {
        let thing = ingest::thing(known.deployment_id);
        let limit = i64::try_from(INGEST_MAX)?;
        loop {
            let waiting = parked::waiting_for(tx, &thing, limit).await?;
            if waiting.is_empty() {
                return Ok(());
            }
            let now = self.clock.now().trunc_subsecs(6);
            let said: Vec<_> = waiting
                .iter()
                .map(|(_, message)| llm_usage::read(&message.subject, &message.body, now))
                .collect();
            let mut released = Vec::with_capacity(waiting.len());
            for ((id, _), fate) in waiting.iter().zip(ingest::settle(tx, &said, now).await?) {
                match fate {
                    Fate::Accepted | Fate::Duplicate | Fate::Conflict => released.push(*id),
                    Fate::Aside(reason) | Fate::Waiting { reason, thing: _ } => {
                        parked::keep(tx, *id, &reason).await?;
                    }
                }
            }
            parked::release(tx, &released, BY).await?;
            info!(deployment.id = %known.deployment_id, events = released.len(), "counted usage that had waited");
        }
    }
}
