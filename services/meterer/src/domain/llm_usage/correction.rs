//! What a correction changes. The one that was decided last counts, whichever came first: so the sums do not depend
//! on the order in which messages arrive, or are sent again by an operator. Of two that were decided at the same
//! instant the one that came later counts. A void is a correction to nothing; a correction decided after a void
//! counts again, as told.

use chrono::{DateTime, Utc};

use super::{Amount, Correction, Recorded, Told};

/// What counts of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delta {
    /// 1, or 0 once it is voided; a difference may be -1.
    pub requests: i64,
    /// Tokens read, cached ones not counted.
    pub prompt: i64,
    /// Tokens written.
    pub completion: i64,
    /// Tokens read from a cache.
    pub cached: i64,
    /// The charge.
    pub charge: Amount,
}

impl Delta {
    /// What a request comes to that has these figures; none: that is voided.
    fn of(told: Option<Told>) -> Self {
        let Some(Told { tokens, charge, currency: _ }) = told else { return Self::default() };
        Self {
            requests: 1,
            prompt: tokens.prompt,
            completion: tokens.completion,
            cached: tokens.cached,
            charge: charge.into(),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            requests: self.requests - before.requests,
            prompt: self.prompt - before.prompt,
            completion: self.completion - before.completion,
            cached: self.cached - before.cached,
            charge: self.charge - before.charge,
        }
    }
}

/// The figures of a request that count now, and since which decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effective {
    /// `None`: it is voided.
    pub told: Option<Told>,
    /// `None`: nothing but the request itself was said.
    pub decided_at: Option<DateTime<Utc>>,
}

/// What is to be done about a correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// What counts from now on.
    pub effective: Effective,
    /// By how much that changes the sums.
    pub delta: Delta,
}

impl Effective {
    /// As the request was recorded.
    pub fn recorded(event: &Recorded) -> Self {
        let told = Told { tokens: event.tokens, charge: event.charge, currency: event.currency };
        Self { told: Some(told), decided_at: None }
    }

    /// Takes a correction of the request `event`, or says why it cannot be taken.
    pub fn decide(self, event: &Recorded, correction: &Correction) -> Result<Decided, &'static str> {
        if correction.tenant_id != event.tenant_id {
            return Err("the request is recorded for another tenant");
        }
        if correction.deployment_id != event.deployment_id {
            return Err("the request is recorded for another deployment");
        }
        if correction.told.is_some_and(|told| told.currency != event.currency) {
            return Err("the request is recorded in another currency");
        }
        if self.decided_at.is_some_and(|decided_at| correction.occurred_at < decided_at) {
            return Ok(Decided { effective: self, delta: Delta::default() });
        }
        let effective = Self { told: correction.told, decided_at: Some(correction.occurred_at) };
        Ok(Decided { effective, delta: Delta::of(correction.told).since(Delta::of(self.told)) })
    }
}
