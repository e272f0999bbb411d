//! The kinds of object an account holds, with the words the API uses for them.

/// A kind that has a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Kind {
    /// Virtual machines, GPU ones and cluster workers included.
    Droplets,
    /// Block storage.
    Volumes,
    /// Snapshots of droplets and of volumes.
    Snapshots,
    /// Backups of droplets; part of no snapshot listing.
    Backups,
    /// Floating addresses, also known as reserved ones.
    FloatingIps,
    /// Firewalls.
    Firewalls,
    /// Load balancers.
    LoadBalancers,
    /// Managed databases.
    Databases,
    /// Kubernetes clusters.
    KubernetesClusters,
    /// DNS zones.
    Domains,
    /// Projects.
    Projects,
    /// Tags.
    Tags,
    /// Private networks.
    Vpcs,
    /// SSH keys.
    Keys,
    /// Access keys of Spaces.
    SpacesKeys,
    /// Apps.
    Apps,
    /// Actions, oldest first.
    Actions,
    /// Invoices with their CSV, oldest first.
    Invoices,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 18] = [
        Self::Droplets,
        Self::Volumes,
        Self::Snapshots,
        Self::Backups,
        Self::FloatingIps,
        Self::Firewalls,
        Self::LoadBalancers,
        Self::Databases,
        Self::KubernetesClusters,
        Self::Domains,
        Self::Projects,
        Self::Tags,
        Self::Vpcs,
        Self::Keys,
        Self::SpacesKeys,
        Self::Apps,
        Self::Actions,
        Self::Invoices,
    ];

    /// The name in state and in paths of the control port; mostly the root key of the API's listing.
    pub fn name(self) -> &'static str {
        match self {
            Self::Droplets => "droplets",
            Self::Volumes => "volumes",
            Self::Snapshots => "snapshots",
            Self::Backups => "backups",
            Self::FloatingIps => "floating_ips",
            Self::Firewalls => "firewalls",
            Self::LoadBalancers => "load_balancers",
            Self::Databases => "databases",
            Self::KubernetesClusters => "kubernetes_clusters",
            Self::Domains => "domains",
            Self::Projects => "projects",
            Self::Tags => "tags",
            Self::Vpcs => "vpcs",
            Self::Keys => "keys",
            Self::SpacesKeys => "spaces_keys",
            Self::Apps => "apps",
            Self::Actions => "actions",
            Self::Invoices => "invoices",
        }
    }

    /// The reverse of [`Kind::name`]; `zones` is accepted for domains.
    pub fn parse(name: &str) -> Option<Self> {
        if name == "zones" {
            return Some(Self::Domains);
        }
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The field that identifies a row.
    pub fn id_field(self) -> &'static str {
        match self {
            Self::FloatingIps => "ip",
            Self::Domains | Self::Tags => "name",
            Self::SpacesKeys => "access_key",
            Self::Invoices => "invoice_uuid",
            Self::Droplets
            | Self::Volumes
            | Self::Snapshots
            | Self::Backups
            | Self::Firewalls
            | Self::LoadBalancers
            | Self::Databases
            | Self::KubernetesClusters
            | Self::Projects
            | Self::Vpcs
            | Self::Keys
            | Self::Apps
            | Self::Actions => "id",
        }
    }

    /// Whether the identifying field is a JSON integer.
    pub fn has_integer_id(self) -> bool {
        matches!(self, Self::Droplets | Self::Backups | Self::Keys | Self::Actions)
    }

    /// The kind's word in a URN; `None` when it can be in no project.
    pub fn urn_word(self) -> Option<&'static str> {
        match self {
            Self::Droplets => Some("droplet"),
            Self::Volumes => Some("volume"),
            Self::FloatingIps => Some("floatingip"),
            Self::LoadBalancers => Some("loadbalancer"),
            Self::Databases => Some("dbaas"),
            Self::KubernetesClusters => Some("kubernetes"),
            Self::Domains => Some("domain"),
            Self::Apps => Some("app"),
            Self::Snapshots
            | Self::Backups
            | Self::Firewalls
            | Self::Projects
            | Self::Tags
            | Self::Vpcs
            | Self::Keys
            | Self::SpacesKeys
            | Self::Actions
            | Self::Invoices => None,
        }
    }

    /// The kind that a URN's word names.
    pub fn of_urn_word(word: &str) -> Option<Self> {
        if word == "reservedip" {
            return Some(Self::FloatingIps);
        }
        Self::ALL.into_iter().find(|kind| kind.urn_word() == Some(word))
    }
}
