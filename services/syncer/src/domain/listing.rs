//! One run of a listing, from its start to what its end means.

use chrono::{DateTime, Utc};
use contracts::syncer::{HeldListing, Listing};
use uuid::Uuid;

use super::absence::Verdict;

/// Longest reason that is kept.
const FAILURE_CHARS_MAX: usize = 500;

/// Listings that are synced before another the first time, because it builds on what they found.
pub trait Prerequisites {
    /// Which.
    fn prerequisites(self) -> &'static [Listing];
}

impl Prerequisites for Listing {
    fn prerequisites(self) -> &'static [Listing] {
        match self {
            // Backups are listed per droplet.
            Self::DropletBackups => &[Self::Droplets],
            // Membership attributes what its own listing has found.
            Self::Projects => &[
                Self::Droplets,
                Self::DnsZones,
                Self::Volumes,
                Self::Snapshots,
                Self::FloatingIps,
                Self::Firewalls,
                Self::LoadBalancers,
            ],
            Self::Droplets
            | Self::DnsZones
            | Self::Volumes
            | Self::Snapshots
            | Self::FloatingIps
            | Self::Firewalls
            | Self::LoadBalancers => &[],
        }
    }
}

/// A run of a listing. What it writes counts only while it is the listing's latest run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Which listing.
    pub listing: Listing,
    /// Tells it from runs before and after.
    pub id: Uuid,
    /// What was last seen before this was not seen by this run.
    pub started_at: DateTime<Utc>,
}

impl Run {
    /// The time of a sighting. A clock that is set back during a run must not make what was seen look absent.
    pub fn sighted_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now.max(self.started_at)
    }
}

/// Whether a listing is held back, and how large a loss is confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hold {
    /// Set while it is held back.
    pub held: Option<HeldListing>,
    /// The loss that an operator confirmed, while it lasts.
    pub confirmed_missing: Option<i64>,
}

/// What a complete run means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conclusion {
    /// The hold from now on.
    pub hold: Hold,
    /// Whether the absent are struck.
    pub strikes: bool,
    /// What is told.
    pub announcement: Option<Announcement>,
}

/// A change that operators are told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announcement {
    /// It is held back from now on.
    Held(HeldListing),
    /// It counts again, by itself.
    Recovered,
}

/// Concludes a complete run. A hold is announced once, however long it lasts and grows.
pub fn conclude(before: &Hold, verdict: Verdict, now: DateTime<Utc>) -> Conclusion {
    match verdict {
        Verdict::Held(tally) => {
            let held_at = before.held.as_ref().map_or(now, |held| held.held_at);
            let held = HeldListing { held_at, known: tally.known, missing: tally.missing };
            let announcement = before.held.is_none().then(|| Announcement::Held(held.clone()));
            Conclusion {
                hold: Hold { held: Some(held), confirmed_missing: None },
                strikes: false,
                announcement,
            }
        }
        Verdict::Believed | Verdict::Confirmed => {
            let announcement = before.held.is_some().then_some(Announcement::Recovered);
            // A confirmation outlives neither the loss nor the need for it.
            let confirmed_missing = before.confirmed_missing.filter(|_| verdict == Verdict::Confirmed);
            Conclusion { hold: Hold { held: None, confirmed_missing }, strikes: true, announcement }
        }
    }
}

/// A reason fit to be stored and shown: an error and its causes on one line, cut to a bounded length.
pub fn failure(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(FAILURE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::domain::absence::Tally;

    fn check(verdicts: &[(Verdict, &str)], outcome: Expect) {
        let mut hold = Hold::default();
        let mut told = Vec::new();
        for (minute, (verdict, order)) in verdicts.iter().enumerate() {
            let now = DateTime::UNIX_EPOCH + chrono::TimeDelta::minutes(minute as i64);
            let conclusion = conclude(&hold, *verdict, now);
            hold = conclusion.hold;
            let told_now = match conclusion.announcement {
                None => "",
                Some(Announcement::Held(_)) => ", held",
                Some(Announcement::Recovered) => ", recovered",
            };
            told.push(format!("{}{told_now}", if conclusion.strikes { "strikes" } else { "nobody" }));
            if *order == "confirm" {
                hold = Hold { confirmed_missing: hold.held.map(|held| held.missing), held: None };
            }
        }
        outcome.assert_eq(&told.join("\n"));
    }

    #[test]
    fn a_hold_is_told_once_and_ends_once() {
        let held = |missing: i64| Verdict::Held(Tally { known: 100, missing });
        check(&[(Verdict::Believed, "")], expect!["strikes"]);
        check(
            &[(held(40), ""), (held(60), ""), (Verdict::Believed, ""), (Verdict::Believed, "")],
            expect![[r#"
                nobody, held
                nobody
                strikes, recovered
                strikes"#]],
        );
        check(
            &[(held(40), "confirm"), (Verdict::Confirmed, ""), (held(90), "")],
            expect![[r#"
                nobody, held
                strikes
                nobody, held"#]],
        );
    }

    #[test]
    fn a_confirmation_ends_with_the_loss() {
        let confirmed = Hold { held: None, confirmed_missing: Some(40) };
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(conclude(&confirmed, Verdict::Confirmed, now).hold.confirmed_missing, Some(40));
        assert_eq!(conclude(&confirmed, Verdict::Believed, now).hold.confirmed_missing, None);
    }

    #[test]
    fn a_reason_is_one_bounded_line() {
        #[derive(Debug, thiserror::Error)]
        #[error("walk\nvolumes {0}")]
        struct Long(String);
        let text = failure(&Long("x".repeat(1000)));
        assert_eq!(text.chars().count(), FAILURE_CHARS_MAX);
        assert!(!text.contains('\n'));
    }
}
