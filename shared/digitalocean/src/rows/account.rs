//! The account and what it may choose from.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Row, nullable, region_optional};
use crate::{decimal::DecimalText, text::Text};

/// The account a token belongs to. Its owner's name and address are left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Account {
    /// Forty hexadecimal characters.
    pub uuid: Text,
    /// `active`, `warning` or `locked`.
    pub status: Text,
    /// The provider's explanation.
    #[serde(default, deserialize_with = "nullable")]
    pub status_message: Text,
    /// How many droplets the account may have.
    pub droplet_limit: Option<i64>,
    /// The team, if the account is one.
    pub team: Option<Team>,
}

/// The team an account belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Team {
    /// Team id.
    pub uuid: Text,
    /// Display name.
    pub name: Text,
}

/// A region.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Region {
    /// Slug.
    pub slug: Text,
    /// Display name.
    pub name: Text,
    /// Whether it takes new droplets.
    #[serde(default, deserialize_with = "nullable")]
    pub available: bool,
    /// Feature names.
    #[serde(default, deserialize_with = "nullable")]
    pub features: Vec<Text>,
    /// Size slugs offered there.
    #[serde(default, deserialize_with = "nullable")]
    pub sizes: Vec<Text>,
}

impl Row for Region {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.slug.as_str().into())
    }
}

/// A droplet size.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Size {
    /// Slug.
    pub slug: Text,
    /// Memory in MB.
    pub memory: i64,
    /// Number of virtual processors.
    pub vcpus: i64,
    /// Disk in GB.
    pub disk: i64,
    /// Transfer in TB.
    pub transfer: Option<DecimalText>,
    /// US dollars.
    pub price_monthly: DecimalText,
    /// US dollars. The provider prints a single-precision value: round it before calculating.
    pub price_hourly: DecimalText,
    /// Region slugs; empty when sold out or not for this account.
    #[serde(default, deserialize_with = "nullable")]
    pub regions: Vec<Text>,
    /// Whether it can be had.
    #[serde(default, deserialize_with = "nullable")]
    pub available: bool,
    /// Family name.
    #[serde(default, deserialize_with = "nullable")]
    pub description: Text,
}

impl Row for Size {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.slug.as_str().into())
    }
}

/// An app, without its spec: that holds environment variables.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct App {
    /// UUID.
    pub id: Text,
    /// Region slug.
    #[serde(default, deserialize_with = "region_optional")]
    pub region: Option<Text>,
    /// The project it is in, if it was asked for.
    pub project_id: Option<Text>,
    /// Where it is served.
    pub live_url: Option<Text>,
    /// `None` if the provider left it out.
    pub created_at: Option<DateTime<Utc>>,
}

impl Row for App {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.id.as_str().into())
    }
}

/// A tag. One that tags nothing persists, so being listed proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tag {
    /// In the spelling it was first used with.
    pub name: Text,
}

impl Row for Tag {
    fn key(&self) -> Option<Cow<'_, str>> {
        Some(self.name.as_str().into())
    }
}
