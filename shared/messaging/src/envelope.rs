//! A message as it arrived: subject, headers, body, and the key that tells it from every other.

use std::collections::BTreeMap;

use async_nats::HeaderMap;
use bytes::Bytes;
use contracts::envelope;

/// A delivered message.
#[derive(Debug, Clone)]
pub struct Received {
    /// The subject it came on.
    pub subject: String,
    /// Its headers, the first value of each.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Bytes,
    /// What the inbox knows it by: the schedule's slot for a tick, else the event id, else its place in the
    /// stream.
    pub key: String,
    /// How often it was delivered, this time included.
    pub deliveries: i64,
    /// The durable consumer that took it.
    pub consumer: String,
}

impl Received {
    /// The W3C trace context it carries.
    pub fn traceparent(&self) -> Option<&str> {
        self.headers.get(envelope::TRACEPARENT).map(String::as_str)
    }
}

pub(crate) fn header_map(headers: &BTreeMap<String, String>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(name.as_str(), value.as_str());
    }
    map
}

pub(crate) fn header_values(headers: Option<&HeaderMap>) -> BTreeMap<String, String> {
    let Some(headers) = headers else { return BTreeMap::new() };
    headers
        .iter()
        .filter_map(|(name, values)| Some((name.to_string(), values.first()?.as_str().to_owned())))
        .collect()
}

/// The key of a message: see [`Received::key`]. The id a publisher gave is believed only as far as it is
/// short and printable.
pub(crate) fn key(headers: &BTreeMap<String, String>, stream: &str, sequence: u64) -> String {
    // A cron tick can fire twice after a hard kill, both times with the same next slot.
    if let (Some(scheduler), Some(next)) = (headers.get("Nats-Scheduler"), headers.get("Nats-Schedule-Next"))
    {
        return format!("{scheduler}@{next}");
    }
    let id = headers.get(envelope::CE_ID).or_else(|| headers.get(envelope::MSG_ID));
    match id {
        Some(id) if (1..=255).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_graphic()) => id.clone(),
        _ => format!("{stream}/{sequence}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_known_by_its_slot_and_an_event_by_its_id() {
        let headers = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>()
        };
        let tick = headers(&[("Nats-Scheduler", "schedule.a"), ("Nats-Schedule-Next", "t2"), ("ce-id", "x")]);
        assert_eq!(key(&tick, "JOBS", 7), "schedule.a@t2");
        assert_eq!(key(&headers(&[("ce-id", "x"), ("Nats-Msg-Id", "y")]), "JOBS", 7), "x");
        assert_eq!(key(&headers(&[("Nats-Msg-Id", "")]), "JOBS", 7), "JOBS/7");
        assert_eq!(key(&headers(&[("ce-id", "a b")]), "JOBS", 7), "JOBS/7");
    }
}
