//! Text that people wrote: how long it may be, and which characters have no business in a name.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a character may stand in text: no controls (NUL cannot be stored, escapes rewrite a terminal), and
/// none that hides or turns around what stands beside it.
fn is_plain_char(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}')
        && !matches!(c, '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

/// Whether all of a text may be stored and shown.
pub fn is_plain(text: &str) -> bool {
    text.chars().all(is_plain_char)
}

/// A text of 1 to `MAX` characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text<const MAX: usize>(String);

/// The text is too long, empty, or holds a character that may not stand in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {max} characters, without control, direction or invisible ones")]
pub struct InvalidText {
    max: usize,
}

impl<const MAX: usize> TryFrom<String> for Text<MAX> {
    type Error = InvalidText;

    fn try_from(text: String) -> Result<Self, InvalidText> {
        let fits = (1..=MAX).contains(&text.chars().count()) && is_plain(&text);
        if fits { Ok(Self(text)) } else { Err(InvalidText { max: MAX }) }
    }
}

impl<const MAX: usize> std::str::FromStr for Text<MAX> {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        Self::try_from(text.to_owned())
    }
}

impl<const MAX: usize> From<Text<MAX>> for String {
    fn from(text: Text<MAX>) -> Self {
        text.0
    }
}

impl<const MAX: usize> JsonSchema for Text<MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Text{MAX}").into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "minLength": 1, "maxLength": MAX })
    }
}
