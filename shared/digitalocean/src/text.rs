//! Text as the provider wrote it, made safe to store and to print: control characters are escaped and the
//! length is bounded.

use std::{fmt, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize, de};

/// A longer value is cut here. The longest thing the provider documents is 255 characters, and a cut value
/// still has to fit into a message and a log line.
const CHARS_MAX: usize = 4096;

/// Provider text in which no control character is left, so that a name can neither break a terminal, forge a
/// log line, nor carry the NUL that Postgres refuses.
///
/// It is escaped (`\u{1b}`), not removed: what was there stays visible.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, without a copy.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// Escapes control and direction-changing characters and cuts after `chars_max` characters.
pub(crate) fn bounded(raw: &str, chars_max: usize) -> String {
    let mut out = String::with_capacity(raw.len().min(chars_max));
    for (count, c) in raw.chars().enumerate() {
        if count == chars_max {
            out.push('…');
            break;
        }
        if dangerous(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters, line separators and the marks that reorder the text around them.
fn dangerous(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl From<String> for Text {
    fn from(raw: String) -> Self {
        // Nearly every value passes as it is; bytes bound characters from above.
        if raw.len() <= CHARS_MAX && !raw.chars().any(dangerous) {
            Self(raw)
        } else {
            Self(bounded(&raw, CHARS_MAX))
        }
    }
}

impl From<&str> for Text {
    fn from(raw: &str) -> Self {
        raw.to_owned().into()
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, raw: &str) -> Result<Text, E> {
                Ok(raw.into())
            }

            fn visit_string<E: de::Error>(self, raw: String) -> Result<Text, E> {
                Ok(raw.into())
            }
        }

        deserializer.deserialize_string(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_the_rest_stays() {
        let cases = [
            ("web-1", "web-1"),
            ("Zoë's 箱", "Zoë's 箱"),
            ("a\u{0}b", "a\\u{0}b"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("line\nbreak", "line\\u{a}break"),
            ("\u{202e}txt", "\\u{202e}txt"),
            ("c1\u{9b}x", "c1\\u{9b}x"),
        ];
        for (raw, want) in cases {
            assert_eq!(Text::from(raw), want);
        }
    }

    #[test]
    fn a_very_long_name_is_cut_and_says_so() {
        let text = Text::from("é".repeat(10_000));
        assert_eq!(text.chars().count(), CHARS_MAX + 1);
        assert!(text.ends_with('…'));
    }
}
