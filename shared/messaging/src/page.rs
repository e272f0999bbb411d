//! Pages of a listing: where it goes on, and what fits into one answer.
//!
//! A cursor is opaque to the caller and good only for the question it came from: the listing, the scope and the
//! filters. It grants nothing, as those are applied to every page.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::{
    Problem,
    paging::{LIMIT_MAX, Page, PageRequest},
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// Largest page, in bytes of JSON: what one message carries, with room to spare. A page is cut short before it is
/// refused for its size.
const PAGE_BYTES_MAX: usize = 900_000;
/// Longest cursor that is looked into.
const CURSOR_BYTES_MAX: usize = 1_024;
/// Bytes of a cursor that tell its question.
const MARK_BYTES: usize = 8;

/// A page that was asked for. `Place` is what the listing is ordered by, unique for each of its rows.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked<Question, Place> {
    question: Question,
    limit: u16,
    /// The last row of the page before; `None` for the first page.
    pub after: Option<Place>,
}

impl<Question: Serialize, Place: Serialize + DeserializeOwned> Asked<Question, Place> {
    /// Reads what was asked.
    pub fn parse(question: Question, page: &PageRequest) -> Result<Self, Box<Problem>> {
        if !(1..=LIMIT_MAX).contains(&page.limit) {
            return Err(Problem::unprocessable("limit", format!("must be 1 to {LIMIT_MAX}")).into());
        }
        let after = match page.cursor.as_deref().map(|cursor| decode(&question, cursor)) {
            None => None,
            Some(Some(place)) => Some(place),
            Some(None) => {
                let detail = "not a cursor of this listing and its filters";
                return Err(Problem::unprocessable("cursor", detail).into());
            }
        };
        Ok(Self { question, limit: page.limit, after })
    }

    /// Rows to read: one more than the page has, to know whether there are more.
    pub fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// The page of the rows that were read.
    pub fn answer<T: Serialize>(
        self,
        mut items: Vec<T>,
        place: impl Fn(&T) -> Place,
    ) -> Result<Page<T>, serde_json::Error> {
        let kept = fitting(&items)?.min(usize::from(self.limit));
        let more = items.len() > kept;
        items.truncate(kept);
        let next_cursor = match items.last().filter(|_| more) {
            Some(last) => Some(encode(&self.question, &place(last))?),
            None => None,
        };
        Ok(Page { items, next_cursor })
    }
}

/// How many of the first items fit on a page; at least one.
fn fitting<T: Serialize>(items: &[T]) -> Result<usize, serde_json::Error> {
    let mut bytes = 0;
    for (index, item) in items.iter().enumerate() {
        bytes += serde_json::to_vec(item)?.len();
        if bytes > PAGE_BYTES_MAX {
            return Ok(index.max(1));
        }
    }
    Ok(items.len())
}

fn encode(question: &impl Serialize, place: &impl Serialize) -> Result<String, serde_json::Error> {
    let place = serde_json::to_vec(place)?;
    let mut bytes = mark(question, &place)?.to_vec();
    bytes.extend(place);
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn decode<Place: DeserializeOwned>(question: &impl Serialize, cursor: &str) -> Option<Place> {
    if cursor.len() > CURSOR_BYTES_MAX {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (marked, place) = bytes.split_at_checked(MARK_BYTES)?;
    let same = mark(question, place).is_ok_and(|mark| mark == marked);
    serde_json::from_slice(place).ok().filter(|_| same)
}

fn mark(question: &impl Serialize, place: &[u8]) -> Result<[u8; MARK_BYTES], serde_json::Error> {
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(question)?);
    // No JSON holds a NUL: where the question ends and the place begins is plain.
    hash.update([0]);
    hash.update(place);
    let mut mark = [0; MARK_BYTES];
    mark.copy_from_slice(&hash.finalize()[..MARK_BYTES]);
    Ok(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(question: &str, limit: u16, cursor: Option<&str>) -> Result<Asked<String, u32>, u16> {
        let page = PageRequest { limit, cursor: cursor.map(str::to_owned) };
        Asked::parse(question.to_owned(), &page).map_err(|problem| problem.status)
    }

    #[test]
    fn pages_follow_each_other_and_the_last_says_so() {
        let rows: Vec<u32> = (1..=5).collect();
        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let asked = asked("all", 2, cursor.as_deref()).unwrap();
            let after = asked.after.unwrap_or_default();
            let read = rows.iter().copied().filter(|row| *row > after).take(3).collect();
            let page = asked.answer(read, |row| *row).unwrap();
            seen.push(page.items);
            let Some(next) = page.next_cursor else { break };
            cursor = Some(next);
        }
        assert_eq!(seen, [vec![1, 2], vec![3, 4], vec![5]]);
    }

    #[test]
    fn a_page_is_cut_short_before_it_is_too_large() {
        let rows = vec!["x".repeat(400_000); 3];
        let page = asked("all", 200, None).unwrap().answer(rows, |_| 7).unwrap();
        assert_eq!((page.items.len(), page.next_cursor.is_some()), (2, true));
        let page = asked("all", 200, None).unwrap().answer(vec!["x".repeat(1_000_000)], |_| 7).unwrap();
        assert_eq!((page.items.len(), page.next_cursor), (1, None));
    }

    #[test]
    fn a_cursor_is_good_for_its_question_only() {
        let cursor = encode(&"acme", &7_u32).unwrap();
        assert_eq!(asked("acme", 1, Some(&cursor)).unwrap().after, Some(7));
        assert_eq!(asked("globex", 1, Some(&cursor)).unwrap_err(), 422);
        let flipped = format!("B{}", &cursor[1..]);
        let long = "A".repeat(2_000);
        for bad in ["", "x", "%", "AAAA", &cursor[1..], &flipped, &long] {
            assert_eq!(asked("acme", 1, Some(bad)).unwrap_err(), 422, "{bad:?}");
        }
    }

    #[test]
    fn a_page_has_one_to_two_hundred_items() {
        for (limit, fits) in [(0, false), (1, true), (200, true), (201, false)] {
            assert_eq!(asked("all", limit, None).is_ok(), fits, "{limit}");
        }
    }
}
