//! Listings of what the account has.

use crate::{
    client::Client,
    error::Error,
    pages::{Listing, Pages},
    request::Request,
    rows::{
        Account, Action, App, Database, Domain, Droplet, DropletImage, Firewall, KubernetesCluster,
        LoadBalancer, Project, ProjectResource, Region, ReservedIp, Size, Snapshot, Tag, Volume,
    },
    tag::TagName,
};

/// Which snapshots to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotSource {
    /// Of droplets and of volumes.
    All,
    /// Of droplets. Backups are not among them.
    Droplets,
    /// Of volumes.
    Volumes,
}

impl Client {
    /// Every droplet but those with GPUs, which [`Client::gpu_droplets`] lists.
    pub fn droplets(&self) -> Pages<Droplet> {
        self.pages(Request::get("droplets.list", ["droplets"]), Listing::keyed("droplets"))
    }

    /// The droplets that the ordinary listing leaves out.
    pub fn gpu_droplets(&self) -> Pages<Droplet> {
        let request = Request::get("droplets.list_gpu", ["droplets"]).query("type", "gpus");
        self.pages(request, Listing::keyed("droplets"))
    }

    /// The droplets that bear a tag. One being destroyed has lost its tags before it is gone.
    pub fn droplets_tagged(&self, tag: &TagName) -> Pages<Droplet> {
        let request = Request::get("droplets.list_tagged", ["droplets"]).query("tag_name", tag.as_str());
        self.pages(request, Listing::keyed("droplets"))
    }

    /// The backups of one droplet. `Droplet::backup_ids` tells whether there are any.
    pub fn droplet_backups(&self, droplet_id: i64) -> Pages<DropletImage> {
        let request = Request::get("droplets.backups", ["droplets", &droplet_id.to_string(), "backups"]);
        self.pages(request, Listing::keyed("backups"))
    }

    /// The snapshots of one droplet.
    pub fn droplet_snapshots(&self, droplet_id: i64) -> Pages<DropletImage> {
        let request = Request::get("droplets.snapshots", ["droplets", &droplet_id.to_string(), "snapshots"]);
        self.pages(request, Listing::keyed("snapshots"))
    }

    /// What was done to one droplet: the trail that tells whether a lost request took effect.
    pub fn droplet_actions(&self, droplet_id: i64) -> Pages<Action> {
        let request = Request::get("droplets.actions", ["droplets", &droplet_id.to_string(), "actions"]);
        self.pages(request, Listing::keyed("actions"))
    }

    /// Every DNS zone.
    pub fn domains(&self) -> Pages<Domain> {
        self.pages(Request::get("domains.list", ["domains"]), Listing::keyed("domains"))
    }

    /// Every volume.
    pub fn volumes(&self) -> Pages<Volume> {
        self.pages(Request::get("volumes.list", ["volumes"]), Listing::keyed("volumes"))
    }

    /// Every snapshot of a kind. The source may be gone; the snapshot still costs.
    pub fn snapshots(&self, source: SnapshotSource) -> Pages<Snapshot> {
        let request = Request::get("snapshots.list", ["snapshots"]);
        let request = match source {
            SnapshotSource::All => request,
            SnapshotSource::Droplets => request.query("resource_type", "droplet"),
            SnapshotSource::Volumes => request.query("resource_type", "volume"),
        };
        self.pages(request, Listing::keyed("snapshots"))
    }

    /// Every reserved IPv4 address, assigned or not. Floating addresses are the same rows under their former
    /// name and have no listing here, so that nothing is counted twice.
    pub fn reserved_ips(&self) -> Pages<ReservedIp> {
        self.pages(Request::get("reserved_ips.list", ["reserved_ips"]), Listing::keyed("reserved_ips"))
    }

    /// Every firewall.
    pub fn firewalls(&self) -> Pages<Firewall> {
        self.pages(Request::get("firewalls.list", ["firewalls"]), Listing::keyed("firewalls"))
    }

    /// Every load balancer.
    pub fn load_balancers(&self) -> Pages<LoadBalancer> {
        self.pages(Request::get("load_balancers.list", ["load_balancers"]), Listing::keyed("load_balancers"))
    }

    /// Every managed database cluster. The endpoint takes no paging parameters; should it ever link to a
    /// second page, that is walked as well.
    pub fn databases(&self) -> Pages<Database> {
        let listing = Listing { paged: false, ..Listing::keyed("databases") };
        self.pages(Request::get("databases.list", ["databases"]), listing)
    }

    /// Every managed Kubernetes cluster.
    pub fn kubernetes_clusters(&self) -> Pages<KubernetesCluster> {
        let request = Request::get("kubernetes.list", ["kubernetes", "clusters"]);
        self.pages(request, Listing::keyed("kubernetes_clusters"))
    }

    /// Every app. Without any, the provider leaves the list out.
    pub fn apps(&self) -> Pages<App> {
        let listing = Listing { key_optional: true, ..Listing::keyed("apps") };
        self.pages(Request::get("apps.list", ["apps"]).query("with_projects", "true"), listing)
    }

    /// Every project.
    pub fn projects(&self) -> Pages<Project> {
        self.pages(Request::get("projects.list", ["projects"]), Listing::keyed("projects"))
    }

    /// What belongs to one project, as far as the token may see it.
    pub fn project_resources(&self, project_id: &str) -> Pages<ProjectResource> {
        let request = Request::get("projects.resources", ["projects", project_id, "resources"]);
        self.pages(request, Listing::keyed("resources"))
    }

    /// Every tag.
    pub fn tags(&self) -> Pages<Tag> {
        self.pages(Request::get("tags.list", ["tags"]), Listing::keyed("tags"))
    }

    /// Every region.
    pub fn regions(&self) -> Pages<Region> {
        self.pages(Request::get("regions.list", ["regions"]), Listing::keyed("regions"))
    }

    /// Every droplet size.
    pub fn sizes(&self) -> Pages<Size> {
        self.pages(Request::get("sizes.list", ["sizes"]), Listing::keyed("sizes"))
    }

    /// The account of the token.
    pub async fn account(&self) -> Result<Account, Error> {
        #[derive(serde::Deserialize)]
        struct Answer {
            account: Account,
        }
        self.ask::<Answer>(&Request::get("account.get", ["account"])).await.map(|answer| answer.account)
    }
}
