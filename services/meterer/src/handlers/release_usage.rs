//! Usage waited for a deployment that is known by now: count a part of it, or say why it still cannot count.

use std::time::Duration;

use chrono::SubsecRound;
use contracts::{Service, meterer::ReleaseUsage};
use messaging::{
    HandlerError, Intended, Outcome, Perform, Received,
    outbox::{self, Draft},
    parked,
};
use sqlx::PgConnection;
use tracing::info;

use crate::{
    Meterer,
    domain::llm_usage,
    ingest::{self, Fate, Turn},
    store::{
        llm_usage::{self as usage, INGEST_MAX, Writing},
        waiting,
    },
};

/// Who took up what had waited.
const BY: &str = "meterer";
/// Until what somebody has in hand is looked for again.
const IN_HAND: Duration = Duration::from_secs(1);

impl Perform<ReleaseUsage> for Meterer {
    // All of it is Postgres's; nothing is called.
    type Intent = ();
    type Answer = ();

    async fn intend(
        &self,
        tx: &mut PgConnection,
        job: &ReleaseUsage,
        _: &Received,
    ) -> Result<Intended<()>, HandlerError> {
        // Nobody sets anything aside meanwhile: what is left at the end is all there is, and the next job's.
        usage::lock(tx, Writing::Alone).await?;
        let things = ingest::things(job.deployment_id);
        let awaited = waiting::awaited(tx, &things).await?;
        let Some(thing) = things.iter().find(|thing| awaited.contains(*thing)) else {
            return Ok(Intended::Settled(Outcome::Done));
        };
        let waited = parked::waiting_for(tx, thing, i64::try_from(INGEST_MAX)?).await?;
        if waited.is_empty() {
            // An operator settles it just now.
            return Ok(Intended::Settled(Outcome::RetryAfter(IN_HAND)));
        }
        let now = self.clock.now().trunc_subsecs(6);
        let said: Vec<_> =
            waited.iter().map(|(_, message)| llm_usage::read(&message.subject, &message.body, now)).collect();
        let mut released = Vec::with_capacity(waited.len());
        for ((id, _), fate) in waited.iter().zip(ingest::settle(tx, &said, Turn::Waited, now).await?) {
            match fate {
                Fate::Accepted | Fate::Duplicate | Fate::Conflict => released.push(*id),
                Fate::Aside(reason) | Fate::Waiting { reason, thing: _ } => {
                    parked::keep(tx, *id, &reason).await?;
                }
            }
        }
        parked::release(tx, &released, BY).await?;
        info!(deployment.id = %job.deployment_id, events = released.len(), "counted usage that had waited");
        if !waiting::awaited(tx, &things).await?.is_empty() {
            outbox::add(tx, &[Draft::job(Service::Meterer, job, now)?]).await?;
        }
        Ok(Intended::Settled(Outcome::Done))
    }

    async fn call(&self, (): &()) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn record(&self, _: &mut PgConnection, (): (), (): ()) -> Result<Outcome, HandlerError> {
        Ok(Outcome::Done)
    }
}
