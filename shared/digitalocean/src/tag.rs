//! Tag names, and what may bear a tag.

use std::fmt;

use serde::{Serialize, ser::SerializeStruct};

/// A tag name in the provider's alphabet. It is never empty: an empty `tag_name` filter means *everything*.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct TagName(String);

/// The text cannot be a tag name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tag name has 1 to 255 letters, digits, '_', '-' or ':'")]
pub struct NotATagName;

impl TagName {
    /// Takes the text if the provider would.
    pub fn parse(text: impl Into<String>) -> Result<Self, NotATagName> {
        let text = text.into();
        let sized = (1..=255).contains(&text.len());
        if sized && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b':')) {
            Ok(Self(text))
        } else {
            Err(NotATagName)
        }
    }

    /// The name itself. Look-ups are case-sensitive.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A resource to tag or untag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagTarget {
    /// A droplet by its number.
    Droplet(i64),
    /// An image or a droplet snapshot by its number.
    Image(i64),
    /// A volume by its UUID.
    Volume(String),
    /// A volume snapshot by its UUID.
    VolumeSnapshot(String),
}

impl Serialize for TagTarget {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (id, kind) = match self {
            Self::Droplet(id) => (id.to_string(), "droplet"),
            Self::Image(id) => (id.to_string(), "image"),
            Self::Volume(id) => (id.clone(), "volume"),
            Self::VolumeSnapshot(id) => (id.clone(), "volume_snapshot"),
        };
        // The id is a string on this wire even where it is a number everywhere else.
        let mut target = serializer.serialize_struct("TagTarget", 2)?;
        target.serialize_field("resource_id", &id)?;
        target.serialize_field("resource_type", kind)?;
        target.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_providers_alphabet_makes_a_tag() {
        for good in ["a", "arcadia:saga:0b1c", "managed-by-arcadia-cloud", "UPPER_lower"] {
            assert!(TagName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", " ", "a b", "a/b", "ümlaut", "a\0", "a,b"] {
            assert_eq!(TagName::parse(bad), Err(NotATagName), "{bad:?}");
        }
        assert_eq!(TagName::parse("x".repeat(256)), Err(NotATagName));
    }

    #[test]
    fn ids_of_targets_are_strings() {
        let json = serde_json::to_string(&TagTarget::Droplet(7)).unwrap();
        assert_eq!(json, r#"{"resource_id":"7","resource_type":"droplet"}"#);
    }
}
