//! The provider's objects, as far as we need them.
//!
//! Fields nobody needs are not here, and above all no secret is: a database's connection, users and passwords
//! have no field to land in. Values of open sets (status, region, size) stay text.

mod account;
mod action;
mod billing;
mod database;
mod dns;
mod droplet;
mod firewall;
mod kubernetes;
mod load_balancer;
mod project;
mod reserved_ip;
mod snapshot;
mod volume;

use std::{borrow::Cow, fmt, hash::Hash};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned},
};

pub use self::{
    account::{Account, App, Region, Size, Tag, Team},
    action::Action,
    billing::{
        Balance, BillingEntry, ChargeGroup, ChargeItem, Invoice, InvoiceItem, InvoicePreview, InvoiceSummary,
    },
    database::Database,
    dns::{DnsRecord, Domain},
    droplet::{CreatedDroplet, Droplet, DropletImage, Image, NetworkV4, NetworkV6, Networks},
    firewall::{Firewall, FirewallRule, FirewallTarget, PendingChange},
    kubernetes::{ClusterStatus, KubernetesCluster, KubernetesNode, NodePool},
    load_balancer::{ForwardingRule, LoadBalancer},
    project::{Assignment, Project, ProjectResource},
    reserved_ip::{AttachedDroplet, ReservedIp},
    snapshot::Snapshot,
    volume::Volume,
};
use crate::text::Text;

/// An object that comes in listings.
pub trait Row: DeserializeOwned + Hash + Send {
    /// What tells two rows of the listing apart; `None` where the provider gives rows no identity.
    fn key(&self) -> Option<Cow<'_, str>>;
}

/// Reads `null` like an absent field.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The slug of a region that must be there.
fn region<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
    RegionSlug::deserialize(deserializer).map(|region| region.0)
}

/// The slug of a region that global resources do not have.
fn region_optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Text>, D::Error> {
    Ok(Option::<RegionSlug>::deserialize(deserializer)?.map(|region| region.0))
}

/// A region is an object in most families and a bare slug in some. The object's long list of sizes is skipped
/// without being built, which an untagged enum would not do.
struct RegionSlug(Text);

impl<'de> Deserialize<'de> for RegionSlug {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = RegionSlug;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a region object or a region slug")
            }

            fn visit_str<E: de::Error>(self, slug: &str) -> Result<RegionSlug, E> {
                Ok(RegionSlug(slug.into()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<RegionSlug, A::Error> {
                let mut slug = None;
                while let Some(field) = map.next_key::<Cow<'de, str>>()? {
                    if field == "slug" {
                        slug = Some(map.next_value()?);
                    } else {
                        map.next_value::<de::IgnoredAny>()?;
                    }
                }
                slug.map(RegionSlug).ok_or_else(|| de::Error::missing_field("slug"))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}
