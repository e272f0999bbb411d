//! Whose a resource is.
//!
//! - A project's member belongs to the project and to the project's tenant.
//! - A snapshot or backup is in no project at the provider: it follows the droplet or volume it was taken of, a
//!   deleted one too, as its costs go on; without a parent in the inventory it falls to `skyai-internal`.
//! - A firewall is in no project either and falls to `skyai-internal`.
//! - A DNS zone outside every project belongs to nobody until an operator classifies it, and to whom the
//!   operator said from then on.
//! - Whatever else no project claims falls to `skyai-internal`. What is attributed to a project loses it
//!   when two looks of one walk find no claim, and not while its own listing misses it: a resource that moves
//!   during a walk, or that is being destroyed, must not change hands on the way.
//! - A resource that an operator linked to a deployment is that deployment's tenant's, whatever its project is: the
//!   project still follows the provider, tenant and deployment do not. What follows a parent follows it into its
//!   deployment too, unless it is linked itself. Whatever is neither linked nor follows is part of no deployment.
//!
//! A kind that only membership tells of is never unclaimed: it is absent, which is `absence`'s business.

use contracts::{
    TenantId,
    ids::{DeploymentId, ProjectId},
    syncer::{Listing, ResourceKind, ResourceState},
};
use digitalocean::Urn;

use super::observation::zone_id;

/// The project that what belongs to no project falls to.
pub const FALLBACK_PROJECT: &str = "skyai-internal";
/// Kinds with a listing of their own; every other kind is known through project membership alone.
pub const LISTED_KINDS: [ResourceKind; 8] = [
    ResourceKind::Droplet,
    ResourceKind::DnsZone,
    ResourceKind::Volume,
    ResourceKind::Snapshot,
    ResourceKind::FloatingIp,
    ResourceKind::Firewall,
    ResourceKind::LoadBalancer,
    ResourceKind::DropletBackup,
];

/// Whether the kind has a listing of its own.
pub fn is_listed(kind: &ResourceKind) -> bool {
    LISTED_KINDS.contains(kind)
}

/// The kind that a listing is about; `None` for projects, which tell of many.
pub fn kind_of(listing: Listing) -> Option<ResourceKind> {
    match listing {
        Listing::Droplets => Some(ResourceKind::Droplet),
        Listing::Projects => None,
        Listing::DnsZones => Some(ResourceKind::DnsZone),
        Listing::Volumes => Some(ResourceKind::Volume),
        Listing::Snapshots => Some(ResourceKind::Snapshot),
        Listing::FloatingIps => Some(ResourceKind::FloatingIp),
        Listing::Firewalls => Some(ResourceKind::Firewall),
        Listing::LoadBalancers => Some(ResourceKind::LoadBalancer),
        Listing::DropletBackups => Some(ResourceKind::DropletBackup),
    }
}

/// How a kind comes to its project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Custom {
    /// The project claims it.
    Claimed,
    /// It follows what it was taken of.
    FollowsParent,
    /// It is in no project, ever.
    Unclaimable,
    /// As `Claimed`, but it falls to nobody when it is not.
    Zone,
    /// It exists through the claim alone.
    MemberOnly,
}

/// How the kind comes to its project.
pub fn custom(kind: &ResourceKind) -> Custom {
    match kind {
        ResourceKind::Droplet
        | ResourceKind::Volume
        | ResourceKind::FloatingIp
        | ResourceKind::LoadBalancer => Custom::Claimed,
        ResourceKind::Snapshot | ResourceKind::DropletBackup => Custom::FollowsParent,
        ResourceKind::Firewall => Custom::Unclaimable,
        ResourceKind::DnsZone => Custom::Zone,
        ResourceKind::SpacesBucket
        | ResourceKind::ManagedDb
        | ResourceKind::K8sCluster
        | ResourceKind::Other(_) => Custom::MemberOnly,
    }
}

/// A resource as a project claims it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// What sort of thing it is.
    pub kind: ResourceKind,
    /// The provider's id.
    pub provider_id: String,
}

/// The resource that a URN means. Every alias of a resource gives the same one; a kind that nobody knows keeps
/// its own name.
pub fn member(urn: &Urn) -> Member {
    let known = match urn.kind.to_ascii_lowercase().as_str() {
        "droplet" => Some(ResourceKind::Droplet),
        "volume" => Some(ResourceKind::Volume),
        "domain" => Some(ResourceKind::DnsZone),
        "space" => Some(ResourceKind::SpacesBucket),
        "floatingip" | "reservedip" => Some(ResourceKind::FloatingIp),
        "loadbalancer" => Some(ResourceKind::LoadBalancer),
        "firewall" => Some(ResourceKind::Firewall),
        "dbaas" | "database" => Some(ResourceKind::ManagedDb),
        "kubernetes" => Some(ResourceKind::K8sCluster),
        "snapshot" | "volumesnapshot" | "image" => Some(ResourceKind::Snapshot),
        _ => None,
    };
    match known {
        Some(ResourceKind::DnsZone) => Member { kind: ResourceKind::DnsZone, provider_id: zone_id(&urn.id) },
        Some(kind) => Member { kind, provider_id: urn.id.to_string() },
        None => unknown_member(urn),
    }
}

fn unknown_member(urn: &Urn) -> Member {
    let name = urn.kind.to_ascii_lowercase().replace(['-', '.'], "_");
    match name.parse::<ResourceKind>() {
        Ok(kind) => Member { kind, provider_id: urn.id.to_string() },
        // Not even a name: keep the whole, so that two of them never become one.
        Err(_) => Member { kind: ResourceKind::Other("unknown".to_owned()), provider_id: urn.to_string() },
    }
}

/// Where a resource belongs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Home {
    /// The project; `None`: in none.
    pub project: Option<ProjectId>,
    /// The tenant; `None`: nobody's.
    pub tenant: Option<TenantId>,
    /// The deployment that it, or what it follows, is linked to. A project is no deployment's, so a project's home has
    /// none.
    pub deployment: Option<DeploymentId>,
}

impl Home {
    /// Where a resource is that is offered this home: of a linked one, the project alone moves.
    pub fn offered_to(&self, resource: &Home, linked: bool) -> Home {
        match linked {
            true => Home { project: self.project, ..resource.clone() },
            false => self.clone(),
        }
    }
}

impl From<&ResourceState> for Home {
    fn from(resource: &ResourceState) -> Self {
        Self {
            project: resource.cloud_project_id,
            tenant: resource.tenant_id.clone(),
            deployment: resource.deployment_id,
        }
    }
}

/// A resource given to a home.
pub fn given_to(before: &ResourceState, linked: bool, home: &Home) -> ResourceState {
    let Home { project, tenant, deployment } = home.offered_to(&Home::from(before), linked);
    ResourceState {
        cloud_project_id: project,
        tenant_id: tenant,
        deployment_id: deployment,
        ..before.clone()
    }
}

/// A living resource that no project claimed in a complete walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclaimed {
    /// What sort of thing it is.
    pub kind: ResourceKind,
    /// Where it belongs now.
    pub home: Home,
    /// Whether an operator linked it to its deployment.
    pub linked: bool,
    /// Whether its own listing misses it.
    pub missing: bool,
    /// Whether it was found after the walk began, and so may have been too late for it.
    pub newcomer: bool,
    /// Where the droplet or volume belongs that it was taken of; `None`: not in the inventory, or deleted before it
    /// belonged anywhere.
    pub parent: Option<Home>,
}

/// What becomes of an unclaimed resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Nothing.
    Stay,
    /// It belongs elsewhere.
    Move(Home),
}

/// Settles an unclaimed resource. `fallback` is where `skyai-internal` is.
pub fn settle(resource: &Unclaimed, fallback: &Home) -> Settlement {
    let to = |home: &Home| moved(resource, home);
    match custom(&resource.kind) {
        Custom::MemberOnly => Settlement::Stay,
        Custom::FollowsParent => match &resource.parent {
            // The parent is new; its own project comes first.
            Some(parent) if parent.project.is_none() => Settlement::Stay,
            Some(parent) => to(parent),
            None if resource.home.project.is_none() => to(fallback),
            None => bereft(resource, fallback),
        },
        Custom::Unclaimable if resource.home.project.is_none() => to(fallback),
        Custom::Unclaimable => bereft(resource, fallback),
        Custom::Claimed if resource.home.project.is_none() && resource.newcomer => Settlement::Stay,
        Custom::Claimed if resource.home.project.is_none() => to(fallback),
        Custom::Claimed => bereft(resource, fallback),
        Custom::Zone if resource.home.project.is_none() => Settlement::Stay,
        Custom::Zone => bereft(resource, &Home::default()),
    }
}

/// A resource that its project no longer claims.
fn bereft(resource: &Unclaimed, next: &Home) -> Settlement {
    if resource.missing && resource.home.project != next.project {
        return Settlement::Stay;
    }
    moved(resource, next)
}

fn moved(resource: &Unclaimed, next: &Home) -> Settlement {
    let next = next.offered_to(&resource.home, resource.linked);
    if next == resource.home { Settlement::Stay } else { Settlement::Move(next) }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn home(project: u128, tenant: &str) -> Home {
        Home {
            project: Some(ProjectId::from_uuid(Uuid::from_u128(project))),
            tenant: Some(tenant).filter(|tenant| !tenant.is_empty()).map(|tenant| tenant.parse().unwrap()),
            deployment: None,
        }
    }

    fn internal() -> Home {
        home(1, "")
    }

    fn unclaimed(kind: ResourceKind, home: Home) -> Unclaimed {
        Unclaimed { kind, home, linked: false, missing: false, newcomer: false, parent: None }
    }

    fn show(settlement: &Settlement) -> String {
        match settlement {
            Settlement::Stay => "stays".to_owned(),
            Settlement::Move(Home { project: None, .. }) => "falls to nobody".to_owned(),
            Settlement::Move(home) if *home == internal() => "falls to skyai-internal".to_owned(),
            Settlement::Move(home) => {
                format!("moves to {}", home.tenant.as_ref().map_or("nobody", |tenant| tenant.as_str()))
            }
        }
    }

    fn check(resource: Unclaimed, outcome: Expect) {
        outcome.assert_eq(&show(&settle(&resource, &internal())));
    }

    #[test]
    fn what_no_project_claims() {
        use ResourceKind::{DnsZone, Droplet, DropletBackup, Firewall, ManagedDb, Snapshot, Volume};
        let acme = || home(7, "acme");

        check(unclaimed(Droplet, Home::default()), expect!["falls to skyai-internal"]);
        check(Unclaimed { newcomer: true, ..unclaimed(Droplet, Home::default()) }, expect!["stays"]);
        check(unclaimed(Droplet, internal()), expect!["stays"]);
        check(unclaimed(Droplet, acme()), expect!["falls to skyai-internal"]);
        check(Unclaimed { missing: true, ..unclaimed(Volume, acme()) }, expect!["stays"]);

        check(unclaimed(Firewall, Home::default()), expect!["falls to skyai-internal"]);
        check(unclaimed(Snapshot, Home::default()), expect!["falls to skyai-internal"]);
        check(
            Unclaimed { parent: Some(acme()), ..unclaimed(Snapshot, Home::default()) },
            expect!["moves to acme"],
        );
        check(Unclaimed { parent: Some(acme()), ..unclaimed(DropletBackup, acme()) }, expect!["stays"]);
        check(
            Unclaimed { parent: Some(Home::default()), ..unclaimed(Snapshot, Home::default()) },
            expect!["stays"],
        );
        check(
            Unclaimed { parent: Some(home(8, "globex")), ..unclaimed(Snapshot, acme()) },
            expect!["moves to globex"],
        );

        check(unclaimed(DnsZone, Home::default()), expect!["stays"]);
        let classified = Home { tenant: Some("acme".parse().unwrap()), ..Home::default() };
        check(unclaimed(DnsZone, classified), expect!["stays"]);
        check(unclaimed(DnsZone, acme()), expect!["falls to nobody"]);

        check(unclaimed(ManagedDb, acme()), expect!["stays"]);
    }

    fn check_urn(urn: &str, outcome: Expect) {
        let Member { kind, provider_id } = member(&Urn::parse(urn).unwrap());
        outcome.assert_eq(&format!("{kind} {provider_id}"));
    }

    #[test]
    fn aliases_mean_one_resource() {
        check_urn("do:droplet:13457723", expect!["droplet 13457723"]);
        check_urn("do:domain:Example.com", expect!["dns_zone example.com"]);
        check_urn("do:space:assets", expect!["spaces_bucket assets"]);
        check_urn("do:floatingip:203.0.113.9", expect!["floating_ip 203.0.113.9"]);
        check_urn("do:reservedip:203.0.113.9", expect!["floating_ip 203.0.113.9"]);
        check_urn("do:loadbalancer:l-1", expect!["load_balancer l-1"]);
        check_urn("do:dbaas:d-1", expect!["managed_db d-1"]);
        check_urn("do:kubernetes:k-1", expect!["k8s_cluster k-1"]);
        check_urn("do:volumesnapshot:s-1", expect!["snapshot s-1"]);
        check_urn("do:image:77", expect!["snapshot 77"]);
        check_urn("do:volume:v-1", expect!["volume v-1"]);
        check_urn("do:reservedipv6:2604:a880::1", expect!["reservedipv6 2604:a880::1"]);
        check_urn("do:vpc:v", expect!["vpc v"]);
        check_urn("do:warp-Drive:x", expect!["warp_drive x"]);
        check_urn("do:Droplet:7", expect!["droplet 7"]);
        check_urn("do:ReservedIP:203.0.113.9", expect!["floating_ip 203.0.113.9"]);
        check_urn("do:9$:x", expect!["unknown do:9$:x"]);
    }

    /// Part of a deployment of globex's.
    fn deployed(project: u128) -> Home {
        Home { deployment: Some(DeploymentId::from_uuid(Uuid::from_u128(0xdd))), ..home(project, "globex") }
    }

    #[test]
    fn of_a_linked_resource_the_project_alone_moves() {
        use ResourceKind::{DnsZone, Droplet, Snapshot};
        let linked = |kind, home| Unclaimed { linked: true, ..unclaimed(kind, home) };
        let show = |resource: Unclaimed| match settle(&resource, &internal()) {
            Settlement::Stay => "stays".to_owned(),
            Settlement::Move(Home { project, tenant, deployment }) => {
                let project = project.map_or("none".to_owned(), |id| id.as_uuid().as_u128().to_string());
                let tenant = tenant.map_or("nobody".to_owned(), |tenant| tenant.to_string());
                let place = if deployment.is_some() { "in its deployment" } else { "in no deployment" };
                format!("project {project}, {tenant}, {place}")
            }
        };
        expect!["project 1, globex, in its deployment"].assert_eq(&show(linked(Droplet, deployed(7))));
        expect!["stays"].assert_eq(&show(Unclaimed { missing: true, ..linked(Droplet, deployed(7)) }));
        expect!["stays"].assert_eq(&show(linked(Droplet, deployed(1))));
        expect!["project none, globex, in its deployment"].assert_eq(&show(linked(DnsZone, deployed(7))));
        let of = |parent, snapshot| Unclaimed { parent: Some(parent), ..snapshot };
        expect!["project 8, globex, in its deployment"]
            .assert_eq(&show(of(deployed(8), unclaimed(Snapshot, home(7, "acme")))));
        expect!["stays"].assert_eq(&show(of(deployed(8), unclaimed(Snapshot, deployed(8)))));
        expect!["project 7, acme, in no deployment"]
            .assert_eq(&show(of(home(7, "acme"), unclaimed(Snapshot, deployed(8)))));
        expect!["project 7, globex, in its deployment"]
            .assert_eq(&show(of(home(7, "acme"), linked(Snapshot, deployed(8)))));
    }

    fn any_home() -> impl Strategy<Value = Home> {
        prop_oneof![
            Just(Home::default()),
            Just(internal()),
            Just(home(7, "acme")),
            Just(home(8, "globex")),
            Just(deployed(7)),
            Just(deployed(8)),
            Just(Home { tenant: Some("acme".parse().unwrap()), ..Home::default() }),
        ]
    }

    fn any_kind() -> impl Strategy<Value = ResourceKind> {
        let mut kinds = LISTED_KINDS.to_vec();
        kinds.extend([ResourceKind::SpacesBucket, ResourceKind::Other("vpc".to_owned())]);
        prop::sample::select(kinds)
    }

    proptest! {
        /// Walking the same account again moves nothing that has settled.
        #[test]
        fn attribution_is_idempotent(
            kind in any_kind(),
            at in any_home(),
            parent in prop::option::of(any_home()),
            missing: bool,
            linked: bool,
        ) {
            let mut resource = Unclaimed { parent, missing, linked, ..unclaimed(kind, at) };
            if let Settlement::Move(home) = settle(&resource, &internal()) {
                resource.home = home;
            }
            prop_assert_eq!(settle(&resource, &internal()), Settlement::Stay);
        }

        /// No walk takes a linked resource from its tenant or out of its deployment.
        #[test]
        fn a_link_holds(
            kind in any_kind(),
            parent in prop::option::of(any_home()),
            missing: bool,
            newcomer: bool,
        ) {
            let resource = Unclaimed { parent, missing, newcomer, linked: true, ..unclaimed(kind, deployed(7)) };
            if let Settlement::Move(home) = settle(&resource, &internal()) {
                prop_assert_eq!(&home, &Home { project: home.project, ..deployed(7) });
            }
        }

        /// A zone that no project holds keeps what the operator said, whatever happens around it.
        #[test]
        fn a_classified_zone_stays_classified(missing: bool, newcomer: bool) {
            let classified = Home { tenant: Some("acme".parse().unwrap()), ..Home::default() };
            let zone = unclaimed(ResourceKind::DnsZone, classified);
            let zone = Unclaimed { missing, newcomer, ..zone };
            prop_assert_eq!(settle(&zone, &internal()), Settlement::Stay);
        }
    }
}
