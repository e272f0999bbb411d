//! Which failures are worth another attempt, and how long to wait before it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::Method;

use crate::{
    exchange::{Answer, Failure},
    settings::Limits,
};

const TOO_MANY_REQUESTS: u16 = 429;

/// Whether the same request may be sent again after this outcome.
///
/// A request that was never sent, or was refused for its rate, may always be repeated. A read may be repeated
/// after any failure to answer. A PUT or DELETE has the same effect twice, so a 5xx or a broken connection
/// does not stop it; one without an answer is left to its caller, who knows what else may have happened
/// meanwhile. A POST that may have arrived is never sent again.
pub(crate) fn may_repeat(method: &Method, outcome: &Result<Answer, Failure>) -> bool {
    let idempotent = [Method::GET, Method::PUT, Method::DELETE].contains(method);
    match outcome {
        Ok(answer) if answer.status == TOO_MANY_REQUESTS => true,
        Ok(answer) => answer.status >= 500 && idempotent,
        Err(Failure::Connect(_)) => true,
        Err(Failure::Broken(_)) => idempotent,
        Err(Failure::Deadline) => *method == Method::GET,
        Err(Failure::TooLarge) => false,
    }
}

/// How long to wait before the attempt after `attempt` (from 0). `jitter` is a random number.
///
/// What the provider asks for counts if it is longer than our own pause, and never beyond the limit: a
/// hostile value stalls a call for minutes, not for years.
pub(crate) fn pause(limits: &Limits, attempt: u32, asked: Option<Duration>, jitter: u32) -> Duration {
    let longest =
        limits.backoff.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(limits.wait_max);
    // Half is certain, half is spread, so that callers that failed together do not return together.
    let spread = longest / 2;
    let parts = 1000;
    let own = longest - spread + spread / parts * (jitter % (parts + 1));
    own.max(asked.unwrap_or_default()).min(limits.wait_max)
}

/// How long the answer asks us to stay away: `retry-after` in either form, else, once nothing is left, the
/// time until `ratelimit-reset`.
pub(crate) fn asked_pause(answer: &Answer, now: DateTime<Utc>) -> Option<Duration> {
    let retry_after = answer.retry_after.as_deref().and_then(|value| parse_retry_after(value, now));
    let reset =
        || answer.rate_reset.filter(|_| answer.status == TOO_MANY_REQUESTS).map(|at| until_epoch(at, now));
    retry_after.or_else(reset)
}

/// From now to a time in seconds since 1970; zero if it has passed.
pub(crate) fn until_epoch(at: u64, now: DateTime<Utc>) -> Duration {
    Duration::from_secs(at.saturating_sub(u64::try_from(now.timestamp()).unwrap_or_default()))
}

fn parse_retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let at = DateTime::parse_from_rfc2822(value).ok()?;
    Some((at.to_utc() - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = DateTime::parse_from_rfc3339("2026-04-01T00:00:00Z").unwrap().to_utc();
        for (value, want) in [
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("0", Some(0)),
            ("1000000000", Some(1_000_000_000)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Wed, 01 Apr 2026 00:01:30 GMT", Some(90)),
            ("Wed, 01 Apr 2020 00:00:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
        ] {
            assert_eq!(parse_retry_after(value, now), want.map(Duration::from_secs), "{value:?}");
        }
    }

    #[test]
    fn pauses_double_with_jitter_and_stay_within_the_limit() {
        let limits = Limits {
            backoff: Duration::from_secs(1),
            wait_max: Duration::from_secs(300),
            ..Limits::default()
        };
        let secs = |attempt, asked: Option<u64>, jitter| {
            pause(&limits, attempt, asked.map(Duration::from_secs), jitter).as_millis()
        };
        assert_eq!(secs(0, None, 0), 500);
        assert_eq!(secs(0, None, 1000), 1000);
        assert_eq!(secs(3, None, 0), 4000);
        assert_eq!(secs(3, None, u32::MAX % 1001), 4000 + 4 * u128::from(u32::MAX % 1001));
        assert_eq!(secs(31, None, 1000), 300_000);
        assert_eq!(secs(99, None, 1000), 300_000);
        assert_eq!(secs(0, Some(7), 1000), 7000);
        assert_eq!(secs(0, Some(0), 0), 500, "a pause of nothing would be a storm");
        assert_eq!(secs(0, Some(u64::MAX), 0), 300_000);
    }

    #[test]
    fn only_what_is_safe_is_repeated() {
        let status = |status| Ok(Answer { status, ..Answer::default() });
        let cases: [(&str, Result<Answer, Failure>, [bool; 5]); 8] = [
            //                                GET    PUT   DELETE  POST   PATCH
            ("200", status(200), [false, false, false, false, false]),
            ("404", status(404), [false, false, false, false, false]),
            ("401", status(401), [false, false, false, false, false]),
            ("429", status(429), [true, true, true, true, true]),
            ("500", status(500), [true, true, true, false, false]),
            ("503", status(503), [true, true, true, false, false]),
            ("deadline", Err(Failure::Deadline), [true, false, false, false, false]),
            ("too large", Err(Failure::TooLarge), [false, false, false, false, false]),
        ];
        for (name, outcome, want) in cases {
            let methods = [Method::GET, Method::PUT, Method::DELETE, Method::POST, Method::PATCH];
            assert_eq!(methods.map(|method| may_repeat(&method, &outcome)), want, "{name}");
        }
    }
}
