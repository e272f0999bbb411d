//! The stream `USAGE`, batch by batch.

use chrono::SubsecRound;
use contracts::{
    llm_gateway::{PRODUCER, SEQUENCE},
    streams::Stream,
};
use messaging::{Follow, HandlerError, Outcome, Position, Received};
use sqlx::PgConnection;

use crate::{
    Meterer,
    domain::{
        llm_usage::{self, Usage},
        producers::Tally,
    },
    ingest::{self, Turn},
    store::{usage_position, usage_producers},
};

/// Messages that were read, and what they say of their producers.
#[derive(Debug)]
pub struct Batch {
    said: Vec<Result<Usage, String>>,
    tally: Tally,
}

impl Follow for Meterer {
    type Batch = Batch;

    fn read(&self, messages: &[Received]) -> Batch {
        let now = self.clock.now();
        let mut tally = Tally::default();
        let said = messages
            .iter()
            .map(|message| {
                let header = |name: &str| message.headers.get(name).map(String::as_str);
                tally.note(header(PRODUCER), header(SEQUENCE));
                llm_usage::read(&message.subject, &message.body, now)
            })
            .collect();
        Batch { said, tally }
    }

    async fn take(&self, tx: &mut PgConnection, batch: Batch) -> Result<Vec<Outcome>, HandlerError> {
        let Batch { said, tally } = batch;
        let now = self.clock.now().trunc_subsecs(6);
        let fates = ingest::settle(tx, &said, Turn::New, now).await?;
        usage_producers::note(tx, &tally, now).await?;
        if tally.unreadable > 0 {
            metrics::counter!("llm_usage_producers_unreadable_total").increment(tally.unreadable);
        }
        if let Some(Ok(Usage::Recorded(last))) = said.last() {
            let behind = (now - last.occurred_at).num_milliseconds().max(0);
            metrics::gauge!("llm_usage_lag_milliseconds").set(u32::try_from(behind).unwrap_or(u32::MAX));
        }
        Ok(fates.into_iter().map(Outcome::from).collect())
    }

    async fn position(&self, tx: &mut PgConnection) -> Result<Option<Position>, HandlerError> {
        Ok(usage_position::find(tx, Stream::Usage).await?)
    }

    async fn advance(
        &self,
        tx: &mut PgConnection,
        from: Option<Position>,
        to: Position,
    ) -> Result<bool, HandlerError> {
        let now = self.clock.now().trunc_subsecs(6);
        Ok(usage_position::advance(tx, Stream::Usage, from, to, now).await?)
    }
}
