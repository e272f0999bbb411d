//! Every call that reached the API, newest last, in a ring of bounded length.

use std::collections::VecDeque;

use serde::Serialize;

/// How many calls are kept.
const CAPACITY: usize = 100_000;

/// One call and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Counts from 1, without gaps.
    pub seq: u64,
    /// When it arrived.
    pub time: String,
    /// The bearer token as it was given; `None` without one.
    pub token: Option<String>,
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Which operation of the published schema it was, if any.
    pub operation: Option<&'static str>,
    /// The status that was sent; `None` when no answer was.
    pub status: Option<u16>,
    /// Whether the call took effect, or would have if it changed anything.
    pub executed: bool,
    /// Which fault was laid over it.
    pub fault: Option<String>,
    /// The JSON body of a write, so that tests can see what was asked.
    pub body: Option<serde_json::Value>,
}

/// The ring.
#[derive(Debug, Default)]
pub struct Log {
    entries: VecDeque<Entry>,
    last: u64,
}

impl Log {
    /// Appends a call; its `seq` is given here.
    pub fn add(&mut self, mut entry: Entry) {
        self.last += 1;
        entry.seq = self.last;
        if self.entries.len() == CAPACITY {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// The sequence number of the newest call, 0 when there was none.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The calls after `seq`.
    pub fn since(&self, seq: u64) -> impl Iterator<Item = &Entry> {
        let skip = self.entries.partition_point(|entry| entry.seq <= seq);
        self.entries.range(skip..)
    }
}
