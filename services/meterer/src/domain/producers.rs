//! The numbers that producers give their messages, of one batch.

use std::collections::BTreeMap;

/// Longest name of a producer.
const NAME_MAX: usize = 64;
/// Above this a number is a mistake.
const NUMBER_MAX: i64 = 1_000_000_000_000_000;

/// What came of one producer in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The highest number.
    pub highest: i64,
    /// First and last of each run, in the order they came.
    pub runs: Vec<(i64, i64)>,
}

/// What came of each producer, and how many messages said something that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// By name.
    pub producers: BTreeMap<String, Seen>,
    /// Messages with a name or a number that cannot be read, or with one of the two alone.
    pub unreadable: u64,
}

impl Tally {
    /// Notes what a message says of its producer and its number.
    pub fn note(&mut self, producer: Option<&str>, number: Option<&str>) {
        let read = match (producer, number) {
            (None, None) => return,
            (Some(producer), Some(number)) if is_name(producer) => {
                parse(number).map(|number| (producer, number))
            }
            _ => None,
        };
        let Some((producer, number)) = read else {
            self.unreadable += 1;
            return;
        };
        match self.producers.get_mut(producer) {
            Some(seen) => seen.note(number),
            None => {
                let seen = Seen { highest: number, runs: vec![(number, number)] };
                self.producers.insert(producer.to_owned(), seen);
            }
        }
    }
}

impl Seen {
    fn note(&mut self, number: i64) {
        self.highest = self.highest.max(number);
        match self.runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => self.runs.push((number, number)),
        }
    }

    /// The runs as an `int8multirange` is written.
    pub fn as_multirange(&self) -> String {
        let runs: Vec<String> = self.runs.iter().map(|(first, last)| format!("[{first},{last}]")).collect();
        format!("{{{}}}", runs.join(","))
    }
}

fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
}

fn parse(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    text.parse().ok().filter(|number| digits && (1..=NUMBER_MAX).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(said: &[(Option<&str>, Option<&str>)]) -> Tally {
        let mut tally = Tally::default();
        for (producer, number) in said {
            tally.note(*producer, *number);
        }
        tally
    }

    #[test]
    fn numbers_that_follow_each_other_are_one_run() {
        let said = ["1", "2", "3", "7", "5", "6", "3"].map(|number| (Some("gw-1"), Some(number)));
        let seen = &tally(&said).producers["gw-1"];
        assert_eq!(seen.highest, 7);
        assert_eq!(seen.as_multirange(), "{[1,3],[7,7],[5,6],[3,3]}");
    }

    #[test]
    fn what_cannot_be_read_is_counted_and_left_out() {
        let long = "x".repeat(65);
        let tally = tally(&[
            (None, None),
            (Some("gw"), None),
            (None, Some("1")),
            (Some("g w"), Some("1")),
            (Some(""), Some("1")),
            (Some(&long), Some("1")),
            (Some("gw"), Some("0")),
            (Some("gw"), Some("-1")),
            (Some("gw"), Some("+1")),
            (Some("gw"), Some("1.0")),
            (Some("gw"), Some("1000000000000001")),
            (Some("gw"), Some("99999999999999999999")),
        ]);
        assert_eq!(tally, Tally { producers: BTreeMap::new(), unreadable: 11 });
    }
}
