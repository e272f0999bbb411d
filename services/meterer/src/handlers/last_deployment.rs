//! A deployment is known, or known better: usage that waited for it is to be counted.

use contracts::{Service, biller::LastDeployment, meterer::ReleaseUsage};
use messaging::{
    Handle, HandlerError, Outcome, Received,
    outbox::{self, Draft},
};
use sqlx::PgConnection;

use crate::{
    Meterer, ingest,
    store::{
        known_deployment::{self, KnownDeployment},
        llm_usage::{self as usage, Writing},
        waiting,
    },
};

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
        if !known_deployment::save(tx, &news).await? || same {
            return Ok(Outcome::Done);
        }
        if !waiting::awaited(tx, &ingest::things(news.deployment_id)).await?.is_empty() {
            let job = ReleaseUsage { deployment_id: news.deployment_id };
            outbox::add(tx, &[Draft::job(Service::Meterer, &job, self.clock.now())?]).await?;
        }
        Ok(Outcome::Done)
    }
}
