//! What syncer announces, and what one may ask of it: the inventory.

use std::{borrow::Cow, fmt, str::FromStr};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Actor, Command, Event, Job, Message, Query, Scope, State, TenantId,
    ids::{DeploymentId, ProjectId, ResourceId},
    outbox::Republished,
    paging::{Page, PageRequest},
};

/// What sort of thing a resource is. Open: a URN kind nobody has met is kept under its own name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ResourceKind {
    /// A virtual machine.
    Droplet,
    /// A DNS zone; its provider id is the domain name.
    DnsZone,
    /// A block storage volume.
    Volume,
    /// A snapshot of a droplet or of a volume, told apart by `attrs.resource_type`.
    Snapshot,
    /// A reserved address; its provider id is the address.
    FloatingIp,
    /// A cloud firewall.
    Firewall,
    /// A load balancer.
    LoadBalancer,
    /// A backup image of a droplet.
    DropletBackup,
    /// An object storage bucket; known through project membership alone.
    SpacesBucket,
    /// A managed database cluster; known through project membership.
    ManagedDb,
    /// A Kubernetes cluster; known through project membership.
    K8sCluster,
    /// Anything else that a project holds, by its URN kind.
    Other(String),
}

impl ResourceKind {
    /// The kind as it is written in the database, in messages and in URLs.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Droplet => "droplet",
            Self::DnsZone => "dns_zone",
            Self::Volume => "volume",
            Self::Snapshot => "snapshot",
            Self::FloatingIp => "floating_ip",
            Self::Firewall => "firewall",
            Self::LoadBalancer => "load_balancer",
            Self::DropletBackup => "droplet_backup",
            Self::SpacesBucket => "spaces_bucket",
            Self::ManagedDb => "managed_db",
            Self::K8sCluster => "k8s_cluster",
            Self::Other(name) => name,
        }
    }
}

/// The text is no kind: it must be 1 to 40 of `a–z 0–9 _`, beginning with a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a resource kind")]
pub struct InvalidKind;

impl FromStr for ResourceKind {
    type Err = InvalidKind;

    fn from_str(text: &str) -> Result<Self, InvalidKind> {
        let known = [
            Self::Droplet,
            Self::DnsZone,
            Self::Volume,
            Self::Snapshot,
            Self::FloatingIp,
            Self::Firewall,
            Self::LoadBalancer,
            Self::DropletBackup,
            Self::SpacesBucket,
            Self::ManagedDb,
            Self::K8sCluster,
        ];
        if let Some(kind) = known.into_iter().find(|kind| kind.as_str() == text) {
            return Ok(kind);
        }
        let fits = (1..=40).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_');
        if fits { Ok(Self::Other(text.to_owned())) } else { Err(InvalidKind) }
    }
}

impl TryFrom<String> for ResourceKind {
    type Error = InvalidKind;

    fn try_from(text: String) -> Result<Self, InvalidKind> {
        text.parse()
    }
}

impl From<ResourceKind> for String {
    fn from(kind: ResourceKind) -> Self {
        kind.as_str().to_owned()
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl JsonSchema for ResourceKind {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ResourceKind".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[a-z][a-z0-9_]{0,39}$" })
    }
}

/// The whole state of a resource, as events carry it.
///
/// `version` grows by one with every event of the resource; whoever keeps a read model ignores older ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceState {
    /// Our id, stable for ever.
    pub id: ResourceId,
    /// The cloud it lives in: `digitalocean`.
    pub provider: String,
    /// What sort of thing it is.
    pub kind: ResourceKind,
    /// The provider's id: a number, a UUID, an address or a name.
    pub provider_id: String,
    /// The name people gave it.
    pub name: String,
    /// The provider's status, or `deleted`.
    pub status: String,
    /// Region slug; absent for what has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What is peculiar to the kind. Quantities are decimal strings.
    #[serde(default)]
    pub attrs: Map<String, Value>,
    /// The project it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_project_id: Option<ProjectId>,
    /// The tenant it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<TenantId>,
    /// The deployment it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<DeploymentId>,
    /// When a sync first met it.
    pub first_seen_at: DateTime<Utc>,
    /// When it was marked deleted; absent while it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<DateTime<Utc>>,
    /// Counts the resource's events, from 1.
    pub version: i64,
}

/// A resource as the inventory shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resource {
    /// Its state.
    #[serde(flatten)]
    pub state: ResourceState,
    /// When a sync last saw it.
    pub last_seen_at: DateTime<Utc>,
    /// Complete syncs in a row that did not see it; three mark it deleted.
    pub stale_strike_count: i16,
}

/// One changed field. `from` is absent where the old value is another tenant's business.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldChange {
    /// `name`, `status`, … or `attrs.<name>`.
    pub field: String,
    /// The value before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// The value now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

macro_rules! resource_event {
    ($(#[$doc:meta])* $name:ident, $subject:literal $(, $(#[$field_doc:meta])* $field:ident : $type:ty)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub struct $name {
            /// The resource after the event.
            pub resource: ResourceState,
            $($(#[$field_doc])* #[serde(default)] pub $field: $type,)*
        }

        impl Message for $name {
            const SUBJECT: &'static str = $subject;
        }

        impl Event for $name {
            fn key(&self) -> Option<String> {
                Some(self.resource.id.to_string())
            }

            fn tenant(&self) -> Option<&TenantId> {
                self.resource.tenant_id.as_ref()
            }
        }
    };
}

resource_event!(
    /// A sync met a resource for the first time.
    ResourceDiscovered,
    "evt.syncer.resource.discovered.v1"
);
resource_event!(
    /// The provider's state of a resource changed in a way that matters.
    ResourceUpdated,
    "evt.syncer.resource.updated.v1",
    /// What changed.
    changes: Vec<FieldChange>
);
resource_event!(
    /// A resource was absent from three complete syncs in a row.
    ResourceDeleted,
    "evt.syncer.resource.deleted.v1"
);
resource_event!(
    /// A resource that was marked deleted was seen again.
    ResourceRestored,
    "evt.syncer.resource.restored.v1",
    /// What changed meanwhile.
    changes: Vec<FieldChange>
);
resource_event!(
    /// A resource's attribution changed: its project, tenant or deployment.
    ResourceTagged,
    "evt.syncer.resource.tagged.v1",
    /// What changed.
    changes: Vec<FieldChange>
);

/// The last event of a resource, whichever it was; the body of every resource event can be read as this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LastResource {
    /// The resource after its last event.
    pub resource: ResourceState,
}

impl Message for LastResource {
    const SUBJECT: &'static str = "state.syncer.resource.last.v1";
}

impl State for LastResource {}

/// A mirrored project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Project {
    /// Our id.
    pub id: ProjectId,
    /// The cloud it lives in: `digitalocean`.
    pub provider: String,
    /// The provider's id.
    pub provider_id: String,
    /// The name at the provider.
    pub name: String,
    /// What the provider's `environment` says; absent when it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The tenant whose resources it holds, set by an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<TenantId>,
    /// What it is for: the operator's word, or the provider's until an operator says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// When a sync first met it.
    pub first_seen_at: DateTime<Utc>,
    /// When a sync last saw it.
    pub last_seen_at: DateTime<Utc>,
    /// When it was marked deleted; absent while it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<DateTime<Utc>>,
}

macro_rules! project_event {
    ($(#[$doc:meta])* $name:ident, $subject:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub struct $name {
            /// The project after the event.
            pub project: Project,
        }

        impl Message for $name {
            const SUBJECT: &'static str = $subject;
        }

        impl Event for $name {
            fn key(&self) -> Option<String> {
                Some(self.project.id.to_string())
            }

            fn tenant(&self) -> Option<&TenantId> {
                self.project.tenant_id.as_ref()
            }
        }
    };
}

project_event!(
    /// A sync met a project for the first time.
    ProjectDiscovered,
    "evt.syncer.project.discovered.v1"
);
project_event!(
    /// A project's name or environment changed at the provider.
    ProjectUpdated,
    "evt.syncer.project.updated.v1"
);
project_event!(
    /// A project was absent from three complete syncs in a row.
    ProjectDeleted,
    "evt.syncer.project.deleted.v1"
);
project_event!(
    /// A project that was marked deleted was seen again.
    ProjectRestored,
    "evt.syncer.project.restored.v1"
);
project_event!(
    /// An operator set whose a project is, or what it is for.
    ProjectTagged,
    "evt.syncer.project.tagged.v1"
);

/// One listing of the provider that is synced on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Listing {
    /// Droplets, GPU droplets included.
    Droplets,
    /// Projects and what they hold.
    Projects,
    /// DNS zones.
    DnsZones,
    /// Volumes.
    Volumes,
    /// Snapshots of droplets and volumes.
    Snapshots,
    /// Reserved addresses.
    FloatingIps,
    /// Firewalls.
    Firewalls,
    /// Load balancers.
    LoadBalancers,
    /// Backups of every active droplet.
    DropletBackups,
}

impl Listing {
    /// Every listing.
    pub const ALL: [Self; 9] = [
        Self::Droplets,
        Self::Projects,
        Self::DnsZones,
        Self::Volumes,
        Self::Snapshots,
        Self::FloatingIps,
        Self::Firewalls,
        Self::LoadBalancers,
        Self::DropletBackups,
    ];

    /// The listing as it is written in the database, in messages and in URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Droplets => "droplets",
            Self::Projects => "projects",
            Self::DnsZones => "dns_zones",
            Self::Volumes => "volumes",
            Self::Snapshots => "snapshots",
            Self::FloatingIps => "floating_ips",
            Self::Firewalls => "firewalls",
            Self::LoadBalancers => "load_balancers",
            Self::DropletBackups => "droplet_backups",
        }
    }
}

/// The text names no listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a listing")]
pub struct InvalidListing;

impl FromStr for Listing {
    type Err = InvalidListing;

    fn from_str(text: &str) -> Result<Self, InvalidListing> {
        Self::ALL.into_iter().find(|listing| listing.as_str() == text).ok_or(InvalidListing)
    }
}

/// How a listing stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListingStatus {
    /// Which listing.
    pub listing: Listing,
    /// When it last ran to its last page; absent before the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<DateTime<Utc>>,
    /// Rows seen that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<i64>,
    /// Why the last attempt did not complete; absent when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Set while absences are held back because too much went missing at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldListing>,
}

/// A listing that lost too much at once: nobody is struck until an operator confirms or it recovers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldListing {
    /// When it was first held back.
    pub held_at: DateTime<Utc>,
    /// Living resources before.
    pub known: i64,
    /// How many of them the listing no longer shows.
    pub missing: i64,
}

/// A listing lost too much at once and is held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListingHeld {
    /// Which listing.
    pub listing: Listing,
    /// Since when, and how much is missing.
    pub held: HeldListing,
}

impl Message for ListingHeld {
    const SUBJECT: &'static str = "evt.syncer.listing.held.v1";
}

impl Event for ListingHeld {}

/// A held listing counts again: it recovered, or an operator confirmed the loss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListingReleased {
    /// Which listing.
    pub listing: Listing,
    /// The operator who confirmed; absent when it recovered by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<Actor>,
}

impl Message for ListingReleased {
    const SUBJECT: &'static str = "evt.syncer.listing.released.v1";
}

impl Event for ListingReleased {}

/// A listing that is synced by a job of its own.
pub trait SyncJob: Job {
    /// Which one.
    const LISTING: Listing;
}

macro_rules! sync_job {
    ($(#[$doc:meta])* $name:ident, $listing:ident, $subject:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub struct $name {}

        impl Message for $name {
            const SUBJECT: &'static str = $subject;
        }

        impl Job for $name {}

        impl SyncJob for $name {
            const LISTING: Listing = Listing::$listing;
        }
    };
}

sync_job!(
    /// Bring the droplets up to date.
    SyncDroplets,
    Droplets,
    "job.syncer.droplets.sync.v1"
);
sync_job!(
    /// Bring projects and their membership up to date.
    SyncProjects,
    Projects,
    "job.syncer.projects.sync.v1"
);
sync_job!(
    /// Bring the DNS zones up to date.
    SyncDnsZones,
    DnsZones,
    "job.syncer.dns-zones.sync.v1"
);
sync_job!(
    /// Bring the volumes up to date.
    SyncVolumes,
    Volumes,
    "job.syncer.volumes.sync.v1"
);
sync_job!(
    /// Bring the snapshots up to date.
    SyncSnapshots,
    Snapshots,
    "job.syncer.snapshots.sync.v1"
);
sync_job!(
    /// Bring the floating IPs up to date.
    SyncFloatingIps,
    FloatingIps,
    "job.syncer.floating-ips.sync.v1"
);
sync_job!(
    /// Bring the firewalls up to date.
    SyncFirewalls,
    Firewalls,
    "job.syncer.firewalls.sync.v1"
);
sync_job!(
    /// Bring the load balancers up to date.
    SyncLoadBalancers,
    LoadBalancers,
    "job.syncer.load-balancers.sync.v1"
);
sync_job!(
    /// Bring the backups of every active droplet up to date.
    SyncDropletBackups,
    DropletBackups,
    "job.syncer.droplet-backups.sync.v1"
);

/// Which resources? Deleted ones are shown only when `status` asks for `deleted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListResources {
    /// Whose.
    pub scope: Scope,
    /// Of this kind only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ResourceKind>,
    /// With this status only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// In this project only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// Of this deployment only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<DeploymentId>,
    /// Of this tenant only; within the scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<TenantId>,
    /// Which page.
    pub page: PageRequest,
}

impl Message for ListResources {
    const SUBJECT: &'static str = "qry.syncer.resource.list.v1";
}

impl Query for ListResources {
    type Reply = Page<Resource>;

    fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// One resource with its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetResource {
    /// Whose.
    pub scope: Scope,
    /// Which.
    pub id: ResourceId,
}

impl Message for GetResource {
    const SUBJECT: &'static str = "qry.syncer.resource.get.v1";
}

impl Query for GetResource {
    type Reply = ResourceDetail;

    fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// A resource and what happened to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceDetail {
    /// The resource.
    #[serde(flatten)]
    pub resource: Resource,
    /// Its last hundred events, newest first.
    pub events: Vec<ResourceEvent>,
}

/// One line of a resource's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceEvent {
    /// `discovered`, `updated`, `deleted`, `restored`, `drift_detected` or `tagged`.
    pub event: String,
    /// The resource's version after it.
    pub version: i64,
    /// What changed.
    pub changes: Vec<FieldChange>,
    /// Who did it; absent for what a sync found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// When.
    pub occurred_at: DateTime<Utc>,
}

/// Which projects?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListProjects {
    /// Whose.
    pub scope: Scope,
    /// Which page.
    pub page: PageRequest,
}

impl Message for ListProjects {
    const SUBJECT: &'static str = "qry.syncer.project.list.v1";
}

impl Query for ListProjects {
    type Reply = Page<Project>;

    fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// How do the listings stand? Operators only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListListings {
    /// Whose: an operator's.
    pub scope: Scope,
}

impl Message for ListListings {
    const SUBJECT: &'static str = "qry.syncer.listing.list.v1";
}

impl Query for ListListings {
    type Reply = Page<ListingStatus>;

    fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// Say whose a project is and what it is for. Its resources follow at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassifyProject {
    /// Which project.
    pub id: ProjectId,
    /// Whose it is; `None`: nobody's.
    pub tenant_id: Option<TenantId>,
    /// What it is for; `None`: leave as it is.
    pub purpose: Option<String>,
    /// Who says so.
    pub actor: Actor,
}

impl Message for ClassifyProject {
    const SUBJECT: &'static str = "cmd.syncer.project.classify.v1";
}

impl Command for ClassifyProject {
    type Reply = Project;
}

/// Say whose a DNS zone outside every project is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassifyResource {
    /// Which resource.
    pub id: ResourceId,
    /// Whose it is; `None`: nobody's.
    pub tenant_id: Option<TenantId>,
    /// What it is for, kept as `attrs.purpose`; `None`: leave as it is.
    pub purpose: Option<String>,
    /// Who says so.
    pub actor: Actor,
}

impl Message for ClassifyResource {
    const SUBJECT: &'static str = "cmd.syncer.resource.classify.v1";
}

impl Command for ClassifyResource {
    type Reply = Resource;
}

/// Say which deployment a resource is part of, and so whose it is; or that it is part of none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinkResource {
    /// Which resource.
    pub id: ResourceId,
    /// The deployment; `None`: none, and the resource is its project's tenant's again.
    pub deployment_id: Option<DeploymentId>,
    /// Who says so.
    pub actor: Actor,
}

command!(LinkResource => Resource, "cmd.syncer.resource.link.v1");

/// The loss is real: let absences of a held listing count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfirmListing {
    /// Which listing.
    pub listing: Listing,
    /// Who says so.
    pub actor: Actor,
}

impl Message for ConfirmListing {
    const SUBJECT: &'static str = "cmd.syncer.listing.confirm.v1";
}

impl Command for ConfirmListing {
    type Reply = ListingStatus;
}

/// Sync a listing now, besides its schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestSync {
    /// Which listing.
    pub listing: Listing,
    /// Who asks.
    pub actor: Actor,
}

impl Message for RequestSync {
    const SUBJECT: &'static str = "cmd.syncer.listing.sync.v1";
}

impl Command for RequestSync {
    type Reply = ListingStatus;
}

/// Tell the present state of every resource again, deleted ones too: what fills a read model or a stream that
/// the outbox no longer reaches back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepublishResources {
    /// Who says so.
    pub actor: Actor,
}

impl Message for RepublishResources {
    const SUBJECT: &'static str = "cmd.syncer.resource.republish.v1";
}

impl Command for RepublishResources {
    type Reply = Republished;
}
