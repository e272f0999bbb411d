//! `GET /api/v1/events`: the stream of events as server-sent events, each reader its own.
//!
//! Nothing is queued here: the next event is asked for when the reader has taken the last one, and a reader
//! that takes nothing is cut off by the connection (see `server`).

mod filter;
mod frame;
mod slots;

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use contracts::{Problem, TenantId};
use futures::stream;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use messaging::{
    Nats,
    tail::{EventTail, TailError, TailedEvent},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{filter::Filter, slots::Slot};
use crate::{
    auth::{Caller, Verifier},
    clock,
    gateway::Gateway,
    input::Parameters,
    problem::Failure,
};

pub use slots::Slots;

/// After this much silence a comment says that the stream is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long the question where the stream ends may take.
const BOUNDS_TIMEOUT: Duration = Duration::from_secs(1);
/// A stream ends after this long, however long its token lasts: roles change, and replicas are to be balanced.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Said to a reader whose place is beyond the end.
const REBUILT: &str = "events were lost and are stored anew; connect again";

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(crate) async fn stream(
    State(gateway): State<Gateway>,
    caller: Caller,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let filter: Filter = parameters.optional("subject")?.unwrap_or_default();
    let after = last_event_id(&headers)?;
    let slot = gateway.slots.take(&caller)?;
    let (first, last) = gateway.nats.events_bounds().await.map_err(unavailable)?;
    let (seen, missed) = resume(after, first, last);
    let tail = gateway.nats.tail_events(filter.into_subjects(), Some(seen)).await.map_err(unavailable)?;
    let left = Duration::from_secs(caller.expires_at().saturating_sub(clock::unix_seconds()));
    let now = Instant::now();
    let feed = Feed {
        tail,
        nats: gateway.nats.clone(),
        seen,
        behind: false,
        tenant: (!caller.is_operator()).then(|| caller.tenant().clone()),
        ends_at: now + left.min(LIFETIME),
        heartbeat_at: now + HEARTBEAT,
        draining: gateway.draining.clone(),
        replaced: gateway.keys.replacements(),
        stage: Stage::Opening { missed },
        _slot: slot,
    };
    let blocks = stream::unfold(feed, |mut feed| async move {
        let block = feed.next().await?;
        Some((Ok::<_, std::convert::Infallible>(block), feed))
    });
    let mut response = Body::from_stream(blocks).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Proxies that collect an answer before they pass it on are told not to.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

fn unavailable(error: TailError) -> Failure {
    let error: &dyn std::error::Error = &error;
    tracing::warn!(error, "could not read events");
    Problem::unavailable("Events cannot be read at the moment. Connect again, with Last-Event-ID.").into()
}

fn refuse_id(detail: &str) -> Problem {
    Problem::unprocessable("Last-Event-ID", detail)
}

/// Where a reader goes on, and the gap it must be told of: after its last event and before the first that is kept.
fn resume(after: Option<u64>, first: u64, last: u64) -> (u64, Option<(u64, u64)>) {
    match after {
        None => (last, None),
        // Places beyond the end are of a stream that was lost and rebuilt since: from its beginning.
        Some(after) if after > last => (first.saturating_sub(1), Some((after, first))),
        // What lies between has aged out.
        Some(after) if after + 1 < first => (first - 1, Some((after, first))),
        Some(after) => (after, None),
    }
}

/// The place of the last event that the reader has seen.
fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let mut values = headers.get_all(&LAST_EVENT_ID).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let digits = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match (value.to_str().ok().filter(digits).and_then(|text| text.parse().ok()), values.next()) {
        (Some(sequence), None) => Ok(Some(sequence)),
        _ => Err(refuse_id("must be the id of the last event seen").into()),
    }
}

/// Where a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Opening { missed: Option<(u64, u64)> },
    Running,
    Ended,
}

/// One reader's stream.
struct Feed {
    tail: EventTail,
    nats: Nats,
    /// The last place passed. After a lost connection the client library reads from the beginning if nothing
    /// had come before, so what lies behind is skipped here.
    seen: u64,
    /// Whether the latest that came lay behind.
    behind: bool,
    /// Whose events; `None`: everyone's.
    tenant: Option<TenantId>,
    ends_at: Instant,
    heartbeat_at: Instant,
    draining: CancellationToken,
    /// Other secrets for tokens: the one that opened this stream may be good no more.
    replaced: watch::Receiver<Arc<Verifier>>,
    stage: Stage,
    _slot: Slot,
}

impl Feed {
    /// The next block; `None` after the one that said why the stream ends.
    async fn next(&mut self) -> Option<Bytes> {
        match self.stage {
            Stage::Ended => return None,
            Stage::Opening { missed } => {
                self.stage = Stage::Running;
                return Some(frame::opening(self.seen, missed));
            }
            Stage::Running => {}
        }
        let block = loop {
            tokio::select! {
                biased;
                () = self.draining.cancelled() => break self.end("this gateway is going away; connect again"),
                _ = self.replaced.changed() => break self.end("secrets were changed; connect again"),
                () = sleep_until(self.ends_at) => break self.end("time is up; connect again"),
                event = self.tail.next() => match event {
                    Some(Ok(event)) => {
                        let first_behind = event.sequence <= self.seen && !self.behind;
                        if first_behind && self.is_rebuilt().await {
                            break self.end(REBUILT);
                        }
                        if let Some(block) = self.pass(&event) {
                            break block;
                        }
                    }
                    Some(Err(error)) => {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(error, "a stream of events broke off");
                        break self.end("the stream broke off; connect again");
                    }
                    None => break self.end("the stream broke off; connect again"),
                },
                () = sleep_until(self.heartbeat_at) => {
                    if self.is_rebuilt().await {
                        break self.end(REBUILT);
                    }
                    break frame::alive(self.seen);
                }
            }
        };
        self.heartbeat_at = Instant::now() + HEARTBEAT;
        Some(block)
    }

    /// Whether what is stored ends before the reader's place: it was lost and is being rebuilt, so that the places
    /// of this stream mean nothing any more. One that connects again is told of the gap.
    async fn is_rebuilt(&mut self) -> bool {
        let bounds = timeout(BOUNDS_TIMEOUT, self.nats.events_bounds()).await;
        matches!(bounds, Ok(Ok((_, last))) if last < self.seen)
    }

    /// The block of an event that the reader has not seen and may see.
    fn pass(&mut self, event: &TailedEvent) -> Option<Bytes> {
        self.behind = event.sequence <= self.seen;
        if self.behind {
            return None;
        }
        self.seen = event.sequence;
        if self.tenant.is_some() && event.tenant != self.tenant {
            return None;
        }
        let block = frame::event(event);
        if block.is_none() {
            tracing::warn!(message.sequence = event.sequence, "a message among the events is no event");
        }
        block
    }

    fn end(&mut self, why: &'static str) -> Bytes {
        self.stage = Stage::Ended;
        frame::comment(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_goes_on_where_it_was_or_is_told_what_it_missed() {
        assert_eq!(resume(None, 1, 9), (9, None));
        assert_eq!(resume(Some(4), 1, 9), (4, None));
        assert_eq!(resume(Some(9), 1, 9), (9, None));
        assert_eq!(resume(Some(4), 5, 9), (4, None));
        assert_eq!(resume(Some(3), 5, 9), (4, Some((3, 5))));
        assert_eq!(resume(Some(90), 1, 9), (0, Some((90, 1))));
        assert_eq!(resume(Some(90), 0, 0), (0, Some((90, 0))));
    }

    #[test]
    fn a_last_event_id_is_a_place_or_refused() {
        let check = |values: &[&'static str]| {
            let values = values.iter().map(|value| (LAST_EVENT_ID.clone(), HeaderValue::from_static(value)));
            last_event_id(&values.collect()).map_err(|failure| failure.status().as_u16())
        };
        assert_eq!(check(&[]), Ok(None));
        assert_eq!(check(&["0"]), Ok(Some(0)));
        assert_eq!(check(&["18446744073709551615"]), Ok(Some(u64::MAX)));
        for bad in ["", "-1", "+1", "abc", "1.0", " 1", "18446744073709551616"] {
            assert_eq!(check(&[bad]), Err(422), "{bad:?}");
        }
        assert_eq!(check(&["1", "2"]), Err(422));
    }
}
