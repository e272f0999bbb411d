//! The simulator's time: wall time plus what was skipped, and delays divided by the scale.

use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// A clock that only runs forward: it starts at wall time and may be advanced by the control port.
#[derive(Debug, Clone)]
pub struct Clock {
    started_at: DateTime<Utc>,
    started: Instant,
    skipped: Duration,
    scale: f64,
}

impl Clock {
    /// Starts at wall time. A delay of `n` seconds takes `n / scale` seconds.
    pub fn start(scale: f64) -> Self {
        Self {
            started_at: SystemTime::now().into(),
            started: Instant::now(),
            skipped: Duration::ZERO,
            scale: if scale > 0.0 { scale } else { 1.0 },
        }
    }

    /// The present moment, to the millisecond, so that it survives being written as JSON.
    pub fn now(&self) -> DateTime<Utc> {
        let elapsed = TimeDelta::from_std(self.started.elapsed() + self.skipped).unwrap_or(TimeDelta::MAX);
        (self.started_at + elapsed).trunc_subsecs(3)
    }

    /// Skips ahead; whatever falls due on the way happens at the next call.
    pub fn advance(&mut self, by: Duration) {
        self.skipped += by;
    }

    /// Delays that begin from now on are divided by this.
    pub fn set_scale(&mut self, scale: f64) {
        self.scale = scale;
    }

    /// What delays are divided by.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// How long something takes here that takes the provider `seconds`.
    pub fn delay(&self, seconds: f64) -> TimeDelta {
        let ms = (seconds * 1000.0 / self.scale).round().clamp(0.0, 1e12);
        TimeDelta::milliseconds(ms as i64)
    }
}

/// A time as the provider writes it: RFC 3339 in UTC, whole seconds.
pub fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
