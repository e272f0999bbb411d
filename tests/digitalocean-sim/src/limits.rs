//! The rate limit of each token: a sliding window per hour and a burst limit per minute.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use crate::answer::Refusal;

/// `GET /v2/account/keys` has a limit of its own: this many calls a minute.
const KEYS_PER_MINUTE: usize = 10;

/// How many calls a token may make; zero switches a limit off.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// Calls in any hour.
    pub per_hour: usize,
    /// Calls in any minute.
    pub burst_per_minute: usize,
}

/// The calls that still count, per token.
#[derive(Debug)]
pub struct Limits {
    rates: Rates,
    calls: HashMap<String, VecDeque<DateTime<Utc>>>,
    key_calls: HashMap<String, VecDeque<DateTime<Utc>>>,
}

/// What the three headers of every response say.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// Calls in any hour.
    pub limit: usize,
    /// Calls that are left at this moment.
    pub remaining: usize,
    /// When the oldest counted call expires, in epoch seconds.
    pub reset: i64,
}

impl Limits {
    /// No call counted yet.
    pub fn new(rates: Rates) -> Self {
        Self { rates, calls: HashMap::new(), key_calls: HashMap::new() }
    }

    /// Counts a call of `token`, or refuses it. A refused call does not count.
    pub fn admit(
        &mut self,
        token: &str,
        lists_keys: bool,
        now: DateTime<Utc>,
    ) -> (Standing, Result<(), Refusal>) {
        let calls = self.calls.entry(token.to_owned()).or_default();
        expire(calls, now - TimeDelta::hours(1));
        let minute_ago = now - TimeDelta::minutes(1);
        let burst = calls.len() - calls.partition_point(|at| *at <= minute_ago);
        let Rates { per_hour, burst_per_minute } = self.rates;

        let mut verdict = Ok(());
        if per_hour > 0 && calls.len() >= per_hour {
            verdict = Err(Refusal::too_many_requests(None));
        } else if burst_per_minute > 0 && burst >= burst_per_minute {
            let oldest = calls[calls.len() - burst];
            verdict = Err(Refusal::too_many_requests(Some(seconds_until(oldest, now))));
        } else if lists_keys && (per_hour > 0 || burst_per_minute > 0) {
            let keys = self.key_calls.entry(token.to_owned()).or_default();
            expire(keys, minute_ago);
            match keys.front() {
                Some(oldest) if keys.len() >= KEYS_PER_MINUTE => {
                    verdict = Err(Refusal::too_many_requests(Some(seconds_until(*oldest, now))));
                }
                Some(_) | None => keys.push_back(now),
            }
        }
        let burst_refused = verdict.is_err() && (per_hour == 0 || calls.len() < per_hour);
        if verdict.is_ok() {
            calls.push_back(now);
        }
        // With the limits off the headers still name the usual one.
        let limit = if per_hour > 0 { per_hour } else { 5000 };
        let remaining = if burst_refused || (burst_per_minute > 0 && burst + 1 >= burst_per_minute) {
            0
        } else if per_hour > 0 {
            limit.saturating_sub(calls.len())
        } else {
            limit - 1
        };
        let oldest = calls.front().copied().unwrap_or(now);
        (Standing { limit, remaining, reset: (oldest + TimeDelta::hours(1)).timestamp() }, verdict)
    }
}

fn expire(calls: &mut VecDeque<DateTime<Utc>>, before: DateTime<Utc>) {
    while calls.front().is_some_and(|at| *at <= before) {
        calls.pop_front();
    }
}

fn seconds_until(oldest: DateTime<Utc>, now: DateTime<Utc>) -> u64 {
    let left_ms = (oldest + TimeDelta::minutes(1) - now).num_milliseconds().max(0);
    u64::try_from(left_ms).unwrap_or(0).div_ceil(1000).max(1)
}
