//! Identifiers: integers that count up as the provider's do, and UUIDs that follow from the seed.

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

/// The next identifier of each sort. Part of the state, so that none is given twice after a restart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ids {
    seed: u64,
    uuids: u64,
    droplet: i64,
    action: i64,
    record: i64,
    image: i64,
}

impl Ids {
    /// Ids begin in the ranges seen on the live service; actions and records do not fit 32 bits.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            uuids: 0,
            droplet: 600_000_001,
            action: 3_447_000_001,
            record: 1_810_000_001,
            image: 170_000_001,
        }
    }

    /// A droplet's id.
    pub fn droplet(&mut self) -> i64 {
        next(&mut self.droplet)
    }

    /// An action's id.
    pub fn action(&mut self) -> i64 {
        next(&mut self.action)
    }

    /// A DNS record's id, or an SSH key's.
    pub fn record(&mut self) -> i64 {
        next(&mut self.record)
    }

    /// The id of a droplet snapshot or backup, which is an image underneath.
    pub fn image(&mut self) -> i64 {
        next(&mut self.image)
    }

    /// A version 4 UUID.
    pub fn uuid(&mut self) -> Uuid {
        let high = self.word();
        let low = self.word();
        Builder::from_random_bytes(((u128::from(high) << 64) | u128::from(low)).to_be_bytes()).into_uuid()
    }

    /// Forty hexadecimal digits, as owners and accounts have instead of a UUID.
    pub fn hex40(&mut self) -> String {
        format!("{:016x}{:016x}{:08x}", self.word(), self.word(), self.word() >> 32)
    }

    /// A pseudo-random word (splitmix64), reproducible from the seed.
    pub fn word(&mut self) -> u64 {
        self.uuids += 1;
        let mut z = self.seed.wrapping_add(self.uuids.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Never gives an integer that an explicit row already has.
    pub fn reserve(&mut self, id: i64) {
        for counter in [&mut self.droplet, &mut self.action, &mut self.record, &mut self.image] {
            // Ranges are far apart, so only the counter whose range the id is in moves.
            if id >= *counter && id - *counter < 100_000_000 {
                *counter = id + 1;
            }
        }
    }
}

fn next(counter: &mut i64) -> i64 {
    let id = *counter;
    *counter += 1;
    id
}
