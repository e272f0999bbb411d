//! Where a listing of ours goes on: opaque to the caller, and good only for the question it came from.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// Bytes of the mark before what the cursor says.
const MARK_BYTES: usize = 8;

/// The text was not made by us for this question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this listing and these filters")]
pub struct InvalidCursor;

/// The cursor after `last`, the place of an item in the listing, for a question: its scope and filters.
pub fn encode(question: &impl Serialize, last: &impl Serialize) -> String {
    let last = serde_json::to_vec(last).expect("a place is made of ids, days and numbers");
    let mut bytes = mark(question, &last).to_vec();
    bytes.extend(last);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place that a cursor of the same question stands after.
pub fn decode<T: DeserializeOwned>(question: &impl Serialize, cursor: &str) -> Result<T, InvalidCursor> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| InvalidCursor)?;
    let (marked, last) = bytes.split_at_checked(MARK_BYTES).ok_or(InvalidCursor)?;
    if marked != mark(question, last) {
        return Err(InvalidCursor);
    }
    serde_json::from_slice(last).map_err(|_| InvalidCursor)
}

/// Not a secret: a cursor grants nothing, as scope and filters are applied to every page.
fn mark(question: &impl Serialize, last: &[u8]) -> [u8; MARK_BYTES] {
    let question = serde_json::to_vec(&(question, last)).expect("filters are plain structs with string keys");
    let mut mark = [0; MARK_BYTES];
    mark.copy_from_slice(&Sha256::digest(question)[..MARK_BYTES]);
    mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_question_only() {
        let cursor = encode(&("acme", "droplet"), &("2026-05-10", 7));
        assert_eq!(decode(&("acme", "droplet"), &cursor), Ok(("2026-05-10".to_owned(), 7)));
        assert_eq!(decode::<(String, i32)>(&("globex", "droplet"), &cursor), Err(InvalidCursor));
        assert_eq!(decode::<i32>(&("acme", "droplet"), &cursor), Err(InvalidCursor));
        let flipped = format!("B{}", &cursor[1..]);
        for bad in ["", "x", "%", "AAAA", &cursor[1..], &flipped] {
            assert_eq!(
                decode::<(String, i32)>(&("acme", "droplet"), bad),
                Err(InvalidCursor),
                "{bad:?} was taken"
            );
        }
    }
}
