//! Typed client of the DigitalOcean v2 API: every listing of the inventory, the bills, and the changes that
//! sagas make.
//!
//! It owns: paging, the rate budget of a token, repetition of what is safe to repeat, bounds on size, time and
//! pages, and the rule that the token goes to the configured host and nowhere else. It does not own: what the
//! rows mean to us.
//!
//! - One [`Client`] per [`Purpose`]; clients of one token share a [`Budget`].
//! - A listing is a [`Pages`], read page by page. Only a walk whose [`Walk::complete`] is true has seen
//!   everything; any [`Error`] means that nothing may be concluded from what is absent.
//! - A write whose error says [`Error::may_have_taken_effect`] is to be looked up, never sent again blindly.

mod billing;
mod budget;
mod client;
mod decimal;
mod decode;
mod dns;
mod error;
mod exchange;
mod inventory;
mod pages;
mod projects;
mod provisioning;
mod request;
mod retry;
pub mod rows;
mod settings;
mod tag;
mod text;
mod urn;

pub use self::{
    budget::{Budget, BudgetSize, Budgets},
    client::Client,
    decimal::{DecimalText, NotADecimal},
    dns::{NewDnsRecord, RecordFilter},
    error::{Call, Error, Outage},
    inventory::SnapshotSource,
    pages::{Page, Pages, Walk},
    projects::{NewProject, ProjectPatch},
    provisioning::{DropletOrder, ImageRef, Resize},
    rows::Row,
    settings::{Limits, Purpose, Settings, SettingsError},
    tag::{NotATagName, TagName, TagTarget},
    text::Text,
    urn::{NotAUrn, Urn},
};
