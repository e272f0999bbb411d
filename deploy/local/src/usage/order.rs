//! What `usage-publisher` is told and what it answers, as JSON.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::Plan;

/// What to publish, and how fast.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// What to publish.
    pub plan: Plan,
    /// How fast.
    pub pace: Pace,
}

/// How fast to publish.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Pace {
    /// Messages a second; `None`: as fast as they are acknowledged.
    pub per_second: Option<NonZeroU32>,
    /// Most messages that go together, 1 to 1 000. What is due goes together: at a low rate one by one, at a high
    /// one in atomic batches.
    pub batch: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { per_second: None, batch: 500 }
    }
}

/// How publishing went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Messages that JetStream has acknowledged.
    pub acknowledged: u64,
    /// How often messages were sent again, because nobody knows what became of them. The stream may hold them twice.
    pub repeated: u64,
}
