//! When a resource that a listing no longer shows is gone, and when the listing is not to be believed.
//!
//! A resource absent from three complete listings in a row is gone. A listing that suddenly shows nothing, or
//! lost more than a fifth of a kind (and more than ten), is more likely wrong than true: nobody is struck until
//! it recovers or an operator confirms the loss.

/// Complete listings in a row without a resource that mark it deleted.
pub const STRIKES_MAX: i16 = 3;
/// A loss of at most so many is believed, whatever share it is.
pub const MISSING_BELIEVED: i64 = 10;
/// Otherwise a loss of at most this share (in percent) is believed.
pub const MISSING_PERCENT_BELIEVED: i64 = 20;

/// One kind's living resources when its listing completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many there were.
    pub known: i64,
    /// How many of them the listing did not show.
    pub missing: i64,
}

impl Tally {
    /// Whether the loss is too large to be believed without an operator's word.
    pub fn is_suspicious(self) -> bool {
        self.missing > MISSING_BELIEVED && self.missing * 100 > self.known * MISSING_PERCENT_BELIEVED
    }

    fn is_total(self) -> bool {
        self.known > 0 && self.missing == self.known
    }
}

/// What a complete listing says about what it does not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The loss is small enough to be true: strike the absent.
    Believed,
    /// The loss is too large, and an operator has confirmed it: strike the absent.
    Confirmed,
    /// The loss is too large: strike nobody.
    Held(Tally),
}

/// Judges a complete listing.
///
/// `seen` is how many rows it showed in all, `tallies` one per kind, `confirmed` how large a loss an operator
/// has said is real. A confirmation covers that loss and what would be believed beyond it, no more.
pub fn judge(seen: u64, tallies: &[Tally], confirmed: Option<i64>) -> Verdict {
    let total = tallies.iter().fold(Tally::default(), |sum, tally| Tally {
        known: sum.known + tally.known,
        missing: sum.missing + tally.missing,
    });
    let emptied = seen == 0 && total.is_total();
    if !emptied && !tallies.iter().any(|tally| tally.is_suspicious()) {
        return Verdict::Believed;
    }
    let beyond = confirmed.map(|confirmed| Tally { known: total.known, missing: total.missing - confirmed });
    match beyond {
        Some(beyond) if !beyond.is_suspicious() => Verdict::Confirmed,
        Some(_) | None => Verdict::Held(total),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    fn check(seen: u64, tallies: &[(i64, i64)], confirmed: Option<i64>, outcome: Expect) {
        let tallies: Vec<Tally> =
            tallies.iter().map(|(known, missing)| Tally { known: *known, missing: *missing }).collect();
        outcome.assert_eq(&match judge(seen, &tallies, confirmed) {
            Verdict::Believed => "believed".to_owned(),
            Verdict::Confirmed => "confirmed".to_owned(),
            Verdict::Held(Tally { known, missing }) => format!("held: {missing} of {known}"),
        });
    }

    #[test]
    fn a_large_loss_is_held_back() {
        check(0, &[], None, expect!["believed"]);
        check(0, &[(0, 0)], None, expect!["believed"]);
        check(100, &[(100, 0)], None, expect!["believed"]);
        // Suddenly empty, however few there were.
        check(0, &[(500, 500)], None, expect!["held: 500 of 500"]);
        check(0, &[(1, 1)], None, expect!["held: 1 of 1"]);
        // Others came while these went: not empty, and too few to be suspicious.
        check(3, &[(2, 2)], None, expect!["believed"]);
        // More than ten and more than a fifth, both.
        check(40, &[(50, 10)], None, expect!["believed"]);
        check(39, &[(50, 11)], None, expect!["held: 11 of 50"]);
        check(80, &[(100, 20)], None, expect!["believed"]);
        check(79, &[(100, 21)], None, expect!["held: 21 of 100"]);
        // Each kind by itself: a large kind does not hide the loss of a small one.
        check(988, &[(980, 0), (20, 12)], None, expect!["held: 12 of 1000"]);
    }

    #[test]
    fn a_confirmed_loss_counts_and_a_larger_one_does_not() {
        check(60, &[(100, 40)], Some(40), expect!["confirmed"]);
        check(55, &[(100, 45)], Some(40), expect!["confirmed"]);
        check(0, &[(500, 500)], Some(500), expect!["confirmed"]);
        check(0, &[(100, 100)], Some(40), expect!["held: 100 of 100"]);
        check(95, &[(100, 5)], Some(40), expect!["believed"]);
    }

    proptest! {
        /// A loss that is believed stays believed when some of the missing come back.
        #[test]
        fn recovering_never_makes_it_worse(known in 1_i64..1000, missing in 0_i64..1000, back in 0_i64..1000) {
            let missing = missing.min(known);
            let fewer = (missing - back).max(0);
            let judged = |missing: i64| judge((known - missing) as u64, &[Tally { known, missing }], None);
            if judged(missing) == Verdict::Believed {
                prop_assert_eq!(judged(fewer), Verdict::Believed);
            }
        }
    }
}
