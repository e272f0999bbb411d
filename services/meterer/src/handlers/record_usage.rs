//! Usage that came by HTTP: what became of each event is the answer.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, Utc};
use contracts::{
    Message, Problem, Service,
    llm_gateway::UsageRecorded,
    meterer::{RecordUsage, UsageOutcome, UsageResult, UsageResults},
    streams::{self, Stream},
};
use messaging::{
    Execute, Received, Refusal, follow,
    parked::{self, Parking},
};
use serde_json::value::RawValue;
use sqlx::PgConnection;

use crate::{
    Meterer,
    domain::llm_usage::{self, Recorded, Unreadable, Usage},
    ingest::{self, Fate, Turn},
};

/// What the problems of all events may take of an answer, in bytes. One of each is always told: it takes up to 530, and the
/// rest of a result up to 400.
const PROBLEM_BYTES_MAX: usize = 500_000;

impl Execute<RecordUsage> for Meterer {
    async fn execute(&self, tx: &mut PgConnection, command: RecordUsage) -> Result<UsageResults, Refusal> {
        let RecordUsage { events, actor: _ } = command;
        if !(1..=RecordUsage::EVENTS_MAX).contains(&events.len()) {
            let detail = format!("must be 1 to {} events", RecordUsage::EVENTS_MAX);
            return Err(Problem::unprocessable("/events", detail).into());
        }
        let room = PROBLEM_BYTES_MAX / events.len();
        let now = self.clock.now().trunc_subsecs(6);
        let (mut results, mut said, mut places) = (Vec::with_capacity(events.len()), Vec::new(), Vec::new());
        for (place, event) in events.iter().enumerate() {
            match llm_usage::read_strictly(event.get(), now) {
                Ok(recorded) => {
                    results.push(accepted(&recorded));
                    said.push(Ok(Usage::Recorded(recorded)));
                    places.push(place);
                }
                Err(unreadable) => results.push(invalid(unreadable.within(room))),
            }
        }
        let fates = ingest::settle(tx, &said, Turn::New, now).await?;
        let mut aside = Vec::new();
        for ((place, said), fate) in places.into_iter().zip(&said).zip(fates) {
            let result = &mut results[place];
            let (outcome, detail, thing) = match fate {
                Fate::Accepted => continue,
                Fate::Duplicate => {
                    (UsageOutcome::Duplicate, "It was recorded before and counts once.".to_owned(), None)
                }
                Fate::Conflict => {
                    let detail = "Its id was recorded before, with other content. It does not count.";
                    (UsageOutcome::Conflict, detail.to_owned(), None)
                }
                Fate::Aside(reason) => (UsageOutcome::Parked, reason, None),
                Fate::Waiting { reason, thing } => (UsageOutcome::Parked, reason, Some(thing)),
            };
            if let (UsageOutcome::Parked, Ok(Usage::Recorded(recorded))) = (outcome, said) {
                aside.push((as_received(recorded, &events[place]), detail.clone(), thing));
            }
            result.outcome = outcome;
            result.detail = Some(detail);
        }
        park(tx, &aside, now).await?;
        let invalid = results.len() - said.len();
        if invalid > 0 {
            let invalid = u64::try_from(invalid).unwrap_or_default();
            metrics::counter!("llm_usage_events_total", "outcome" => "invalid").increment(invalid);
        }
        Ok(UsageResults { results })
    }
}

fn accepted(recorded: &Recorded) -> UsageResult {
    UsageResult {
        gateway_request_id: Some(recorded.id.clone()),
        outcome: UsageOutcome::Accepted,
        detail: None,
        errors: Vec::new(),
    }
}

fn invalid(unreadable: Unreadable) -> UsageResult {
    UsageResult {
        gateway_request_id: unreadable.id,
        outcome: UsageOutcome::Invalid,
        detail: Some("It cannot be read. Mend it and send it again.".to_owned()),
        errors: unreadable.problems,
    }
}

/// The event as if it had come by the stream, so that it is replayed like one that had.
fn as_received(recorded: &Recorded, event: &RawValue) -> Received {
    let subject = format!("{}.{}", UsageRecorded::SUBJECT, recorded.tenant_id);
    let body = event.get().to_owned().into();
    Received {
        key: follow::key(&subject, &body),
        subject,
        headers: BTreeMap::new(),
        body,
        deliveries: 1,
        consumer: streams::follower_name(Service::Meterer, Stream::Usage),
    }
}

async fn park(
    tx: &mut PgConnection,
    aside: &[(Received, String, Option<String>)],
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let aside: Vec<Parking<'_>> = aside
        .iter()
        .map(|(received, reason, thing)| Parking { received, reason, waits_for: thing.as_deref() })
        .collect();
    Ok(parked::park_all(tx, Service::Meterer, &aside, now).await?)
}
