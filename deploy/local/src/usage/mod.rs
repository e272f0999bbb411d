//! The traffic of a pretended arcadia-llm-gateway: what it publishes, and what the totals must then be.
//!
//! Pure and from a seed: the same plan gives the same messages, byte for byte, and the same totals, which are counted
//! here and not asked of meterer. Publishing is the business of `usage-publisher`, as only `messaging` speaks NATS and
//! this crate does without it.
//!
//! What makes the totals exact whatever is killed meanwhile:
//! - The first message of an id counts. What follows it (a duplicate, a conflicting copy, a correction) comes after it
//!   in this order; a request that is put off is not followed before it has come.
//! - Corrections of one request count in the order in which they come; nothing follows a void.
//! - Every conflicting copy and every piece of rubbish is unlike all others, so that it can be counted once however
//!   often it is sent.

mod generate;
mod order;
mod random;
mod request;
mod rubbish;
mod totals;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use contracts::TenantId;
use contracts::ids::DeploymentId;
use contracts::llm_gateway::{PRODUCER, SEQUENCE};
use money::Currency;
use serde::{Deserialize, Serialize};

pub use generate::Traffic;
pub use order::{Order, Pace, Published};
pub use rubbish::Rubbish;
pub use totals::{Row, Totals};

/// As far as a request can be put off, in messages.
pub const REORDERED_BY_MAX: u64 = 100;

/// A deployment that uses models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Which.
    pub deployment_id: DeploymentId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The currency of its plan.
    pub currency: Currency,
}

/// How many of a thousand messages are what; the rest are requests that come once and in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    /// Sent again, some in another spelling.
    pub duplicates: u16,
    /// Of a thousand requests, those that come up to [`REORDERED_BY_MAX`] messages late.
    pub reordered: u16,
    /// Copies of an id with another content.
    pub conflicts: u16,
    /// What cannot be counted, of every sort.
    pub rubbish: u16,
    /// Corrections.
    pub corrections: u16,
    /// Voids.
    pub voids: u16,
}

/// What to publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Decides everything that is not said here, ids included.
    pub seed: u64,
    /// The producer instance that the headers name: `[A-Za-z0-9_-]{1,64}`.
    pub producer: String,
    /// How many messages, of all sorts.
    pub count: u64,
    /// The deployments that use models; those of one tenant may stand side by side.
    pub targets: Vec<Target>,
    /// How many of what.
    pub shares: Shares,
    /// When the last request happened, to the millisecond. Not in the future.
    pub until: DateTime<Utc>,
    /// Over how many days before `until` requests happened, evenly.
    pub days: u32,
}

/// A plan that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPlan {
    /// Nobody uses anything.
    #[error("a plan needs at least one deployment")]
    NoTarget,
    /// More than all messages.
    #[error("duplicates, conflicts, rubbish, corrections and voids are more than 1000 of 1000 messages")]
    TooMuch,
    /// More than all requests.
    #[error("more than 1000 of 1000 requests are reordered")]
    AllReordered,
    /// The header would be refused.
    #[error("a producer is 1 to 64 of A–Z a–z 0–9 _ -")]
    Producer,
    /// Too long ago, or no time at all.
    #[error("a plan spans 1 to 365 days")]
    Days,
}

impl Plan {
    /// Says what is wrong with the plan, if anything.
    pub fn check(&self) -> Result<(), BadPlan> {
        let Shares { duplicates, reordered, conflicts, rubbish, corrections, voids } = self.shares;
        let all: u32 = [duplicates, conflicts, rubbish, corrections, voids].into_iter().map(u32::from).sum();
        let producer = self.producer.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-');
        if self.targets.is_empty() {
            Err(BadPlan::NoTarget)
        } else if all > 1_000 {
            Err(BadPlan::TooMuch)
        } else if reordered > 1_000 {
            Err(BadPlan::AllReordered)
        } else if !producer || !(1..=64).contains(&self.producer.len()) {
            Err(BadPlan::Producer)
        } else if !(1..=365).contains(&self.days) {
            Err(BadPlan::Days)
        } else {
            Ok(())
        }
    }

    /// The messages in the order in which to publish them.
    pub fn traffic(&self) -> Result<Traffic, BadPlan> {
        self.check()?;
        Ok(Traffic::new(self.clone()))
    }

    /// What all of them come to.
    pub fn totals(&self) -> Result<Totals, BadPlan> {
        let mut traffic = self.traffic()?;
        traffic.by_ref().for_each(drop);
        Ok(traffic.totals())
    }

    /// When the request of this number happened; later ones later.
    fn time_of(&self, number: u64) -> DateTime<Utc> {
        let span = u128::from(self.days) * MILLISECONDS_OF_A_DAY;
        let count = u128::from(self.count.max(1));
        let left = span - span * u128::from(number).min(count) / count;
        let left = i64::try_from(left).expect("a year of milliseconds fits");
        self.until - TimeDelta::milliseconds(left)
    }
}

const MILLISECONDS_OF_A_DAY: u128 = 86_400_000;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sort {
    /// A request, for the first time.
    Request,
    /// What came before, in the same or in other words.
    Duplicate,
    /// An id that came before, with another content.
    Conflict,
    /// Other figures for a request.
    Correction,
    /// A request that does not count.
    Void,
    /// What cannot be counted.
    Rubbish(Rubbish),
}

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub sort: Sort,
    /// Where it goes.
    pub subject: String,
    /// The producer instance.
    pub producer: String,
    /// Its number there, from 1 without gaps. Sent again, it keeps it.
    pub sequence: u64,
    /// The bytes.
    pub body: Vec<u8>,
}

impl Message {
    /// The headers, by name.
    pub fn headers(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (PRODUCER.to_owned(), self.producer.clone()),
            (SEQUENCE.to_owned(), self.sequence.to_string()),
        ])
    }
}

#[cfg(test)]
mod tests;
