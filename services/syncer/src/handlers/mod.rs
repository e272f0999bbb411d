//! Everything this service reacts to; read this file first.

mod classify_project;
mod classify_resource;
mod confirm_listing;
mod get_resource;
mod last_deployment;
mod link_resource;
mod list_listings;
mod list_projects;
mod list_resources;
mod republish_resources;
mod request_sync;
mod sync;

use contracts::{
    Service,
    biller::LastDeployment,
    syncer::{
        ClassifyProject, ClassifyResource, ConfirmListing, GetResource, LinkResource, ListListings,
        ListProjects, ListResources, ListingHeld, ListingReleased, ProjectDeleted, ProjectDiscovered,
        ProjectRestored, ProjectTagged, ProjectUpdated, RepublishResources, RequestSync, ResourceDeleted,
        ResourceDiscovered, ResourceRestored, ResourceTagged, ResourceUpdated, SyncDnsZones,
        SyncDropletBackups, SyncDroplets, SyncFirewalls, SyncFloatingIps, SyncLoadBalancers, SyncProjects,
        SyncSnapshots, SyncVolumes,
    },
};
use messaging::Subscriptions;

use crate::Syncer;

/// The table: one line per message.
pub fn subscriptions() -> Subscriptions<Syncer> {
    Subscriptions::new(Service::Syncer)
        .job::<SyncDroplets>() // sync.rs, as the next eight
        .job::<SyncProjects>()
        .job::<SyncDnsZones>()
        .job::<SyncVolumes>()
        .job::<SyncSnapshots>()
        .job::<SyncFloatingIps>()
        .job::<SyncFirewalls>()
        .job::<SyncLoadBalancers>()
        .job::<SyncDropletBackups>()
        .query::<ListResources>() // list_resources.rs
        .query::<GetResource>() // get_resource.rs
        .query::<ListProjects>() // list_projects.rs
        .query::<ListListings>() // list_listings.rs
        .command::<ClassifyProject>() // classify_project.rs
        .command::<ClassifyResource>() // classify_resource.rs
        .command::<LinkResource>() // link_resource.rs
        .command::<ConfirmListing>() // confirm_listing.rs
        .command::<RequestSync>() // request_sync.rs
        .command::<RepublishResources>() // republish_resources.rs
        .state::<LastDeployment>() // last_deployment.rs
        .restates() // republish_resources.rs
        .publishes::<ResourceDiscovered>()
        .publishes::<ResourceUpdated>()
        .publishes::<ResourceDeleted>()
        .publishes::<ResourceRestored>()
        .publishes::<ResourceTagged>()
        .publishes::<ProjectDiscovered>()
        .publishes::<ProjectUpdated>()
        .publishes::<ProjectDeleted>()
        .publishes::<ProjectRestored>()
        .publishes::<ProjectTagged>()
        .publishes::<ListingHeld>()
        .publishes::<ListingReleased>()
}
