//! Where a listing of ours goes on: opaque to the caller, and good only for the question it came from.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The text was not made by us for this question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this listing")]
pub struct InvalidCursor;

/// The cursor after `last` for a question: its scope and filters.
pub fn encode(question: &impl Serialize, last: Uuid) -> String {
    let mut bytes = [0; 24];
    bytes[..16].copy_from_slice(last.as_bytes());
    bytes[16..].copy_from_slice(&mark(question, last));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The id that a cursor of the same question stands after.
pub fn decode(question: &impl Serialize, cursor: &str) -> Result<Uuid, InvalidCursor> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| InvalidCursor)?;
    let bytes: [u8; 24] = bytes.try_into().map_err(|_| InvalidCursor)?;
    let (last, marked) = bytes.split_at(16);
    let last = Uuid::from_slice(last).map_err(|_| InvalidCursor)?;
    if marked == mark(question, last) { Ok(last) } else { Err(InvalidCursor) }
}

/// Not a secret: a cursor grants nothing, as scope and filters are applied to every page.
fn mark(question: &impl Serialize, last: Uuid) -> [u8; 8] {
    let question = serde_json::to_vec(&(question, last)).expect("filters are plain structs with string keys");
    let mut mark = [0; 8];
    mark.copy_from_slice(&Sha256::digest(question)[..8]);
    mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_question_only() {
        let last = Uuid::from_u128(7);
        let cursor = encode(&("acme", "droplet"), last);
        assert_eq!(decode(&("acme", "droplet"), &cursor), Ok(last));
        assert_eq!(decode(&("globex", "droplet"), &cursor), Err(InvalidCursor));
        let flipped = format!("B{}", &cursor[1..]);
        for bad in ["", "x", "%", "AAAA", &cursor[1..], &flipped] {
            assert_eq!(decode(&("acme", "droplet"), bad), Err(InvalidCursor), "{bad:?}");
        }
    }
}
