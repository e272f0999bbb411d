//! Identifiers, parsed strictly: one spelling per id, whatever the underlying library would take.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text is no identifier of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct InvalidId(pub &'static str);

fn parse_uuid(text: &str, what: &'static str) -> Result<Uuid, InvalidId> {
    // The uuid crate also takes braces, URNs, upper case and bare hex: four spellings too many for an id
    // that is compared as text elsewhere.
    let uuid = Uuid::try_parse(text).map_err(|_| InvalidId(what))?;
    if uuid.is_nil() || uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) != text {
        return Err(InvalidId(what));
    }
    Ok(uuid)
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that was generated or read from the database.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID itself, for the database.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_uuid(text, $what).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "format": "uuid" })
            }
        }
    };
}

id_type!(
    /// A row of the inventory.
    ResourceId,
    "resource id"
);
id_type!(
    /// A mirrored project.
    ProjectId,
    "project id"
);
id_type!(
    /// One app instance of a tenant: the billable unit.
    DeploymentId,
    "deployment id"
);
id_type!(
    /// One version of a plan: its price and its items, as they were published.
    PlanVersionId,
    "plan version id"
);
id_type!(
    /// What binds a deployment to a plan version.
    SubscriptionId,
    "subscription id"
);
id_type!(
    /// A published event: `ce-id` and `Nats-Msg-Id`.
    EventId,
    "event id"
);
id_type!(
    /// A message set aside for an operator.
    ParkedId,
    "parked message id"
);

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $pattern:literal, $fits:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::try_from(text.to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                let fits: fn(&str) -> bool = $fits;
                if fits(&text) { Ok(Self(text)) } else { Err(InvalidId($what)) }
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

fn is_lower_or_digit(c: u8) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

text_type!(
    /// The stable name of a plan, an add-on or a template: 1 to 40 of `a–z 0–9 _`, beginning with a letter.
    Code,
    "code: 1 to 40 of a–z, 0–9 and _, beginning with a letter",
    "^[a-z][a-z0-9_]{0,39}$",
    |text| {
        (1..=40).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|c| is_lower_or_digit(c) || c == b'_')
    }
);
text_type!(
    /// What usage is counted and priced by: `droplet_hours`, `spaces_gb_month`, `llm_tokens`, … Not a kind of
    /// resource: several may be counted by one, and one by none.
    BillingKind,
    "billing kind: 1 to 40 of a–z, 0–9 and _, beginning with a letter",
    "^[a-z][a-z0-9_]{0,39}$",
    |text| {
        (1..=40).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|c| is_lower_or_digit(c) || c == b'_')
    }
);
text_type!(
    /// A deployment's name within its tenant, usable as a DNS label: 1 to 63 of `a–z 0–9 -`, neither beginning nor
    /// ending with a hyphen.
    Slug,
    "slug: 1 to 63 of a–z, 0–9 and -, neither beginning nor ending with -",
    "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    |text| {
        (1..=63).contains(&text.len())
            && !text.starts_with('-')
            && !text.ends_with('-')
            && text.bytes().all(|c| is_lower_or_digit(c) || c == b'-')
    }
);
text_type!(
    /// The LLM gateway's name of one priced request, for ever; also of a correction: 1 to 128 visible ASCII characters.
    RequestId,
    "request id: 1 to 128 visible ASCII characters",
    "^[!-~]{1,128}$",
    |text| (1..=128).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic())
);

/// A tenant, as arcadia-app names it: a UUID or a slug of `A–Z a–z 0–9 _ -`, 1 to 64 characters.
///
/// The character set is checked before the value reaches SQL, a subject or a log (RFC 8725 §3.10).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(String);

impl TenantId {
    /// Longest tenant id, in characters.
    pub const CHARACTERS_MAX: usize = 64;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
        if text.is_empty() || text.len() > Self::CHARACTERS_MAX || !text.bytes().all(allowed) {
            return Err(InvalidId("tenant id"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for TenantId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> Self {
        id.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for TenantId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TenantId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let good = "0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d";
        assert_eq!(good.parse::<ResourceId>().unwrap().to_string(), good);
        for bad in [
            "",
            "abc",
            "0191E4A0-7C3B-7D52-9C0E-2F6F3A1B4C5D",
            "0191e4a07c3b7d529c0e2f6f3a1b4c5d",
            "{0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d}",
            "urn:uuid:0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d",
            " 0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert!(bad.parse::<ResourceId>().is_err(), "{bad:?} was taken for an id");
        }
    }

    #[test]
    fn a_tenant_is_a_uuid_or_a_slug() {
        for good in ["platform-admin", "acme", "A_1", "0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d"] {
            assert!(good.parse::<TenantId>().is_ok(), "{good:?} was refused");
        }
        let long = "x".repeat(65);
        for bad in ["", "*", ">", "a.b", "a b", "ä", "a\0", "a'", long.as_str()] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad:?} was taken for a tenant");
        }
    }
}
