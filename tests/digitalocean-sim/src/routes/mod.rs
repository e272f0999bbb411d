//! Every operation of the API: method, path, name in the published schema, and what does it.

mod account;
mod actions;
mod billing;
mod clusters;
mod domains;
mod droplet_actions;
mod droplets;
mod images;
mod network;
mod projects;
mod records;
mod snapshots;
mod tags;
mod volumes;

pub use domains::{add_record, add_zone, record};
pub use tags::ensure as ensure_tag;

use crate::call::Handler;

/// One operation. The name is the schema's `operationId` where the published excerpt has the operation.
#[derive(Debug)]
pub struct Operation {
    /// HTTP method.
    pub method: &'static str,
    /// Path with `{}` for a variable segment.
    pub path: &'static str,
    /// Name.
    pub id: &'static str,
    /// What does it.
    pub run: Handler,
}

const fn op(method: &'static str, path: &'static str, id: &'static str, run: Handler) -> Operation {
    Operation { method, path, id, run }
}

/// The operations; of two paths that both match, the first counts.
pub const OPERATIONS: &[Operation] = &[
    op("GET", "/v2/account", "account_get", account::get),
    op("GET", "/v2/account/keys", "sshKeys_list", account::keys),
    op("GET", "/v2/regions", "regions_list", account::regions),
    op("GET", "/v2/sizes", "sizes_list", account::sizes),
    op("GET", "/v2/apps", "apps_list", account::apps),
    op("GET", "/v2/spaces/keys", "spacesKey_list", account::spaces_keys),
    op("GET", "/v2/images", "images_list", images::list),
    op("GET", "/v2/droplets", "droplets_list", droplets::list),
    op("POST", "/v2/droplets", "droplets_create", droplets::create),
    op("DELETE", "/v2/droplets", "droplets_destroy_byTag", droplets::destroy_by_tag),
    op("GET", "/v2/droplets/{}", "droplets_get", droplets::get),
    op("DELETE", "/v2/droplets/{}", "droplets_destroy", droplets::destroy),
    op("GET", "/v2/droplets/{}/backups", "droplets_list_backups", droplets::backups),
    op("GET", "/v2/droplets/{}/snapshots", "droplets_list_snapshots", droplets::snapshots),
    op("GET", "/v2/droplets/{}/actions", "dropletActions_list", droplet_actions::list),
    op("POST", "/v2/droplets/{}/actions", "dropletActions_post", droplet_actions::post),
    op("GET", "/v2/droplets/{}/actions/{}", "dropletActions_get", droplet_actions::get),
    op("GET", "/v2/actions", "actions_list", actions::list),
    op("GET", "/v2/actions/{}", "actions_get", actions::get),
    op("GET", "/v2/snapshots", "snapshots_list", snapshots::list),
    op("GET", "/v2/snapshots/{}", "snapshots_get", snapshots::get),
    op("DELETE", "/v2/snapshots/{}", "snapshots_delete", snapshots::delete),
    op("GET", "/v2/volumes", "volumes_list", volumes::list),
    op("GET", "/v2/volumes/{}", "volumes_get", volumes::get),
    op("DELETE", "/v2/volumes/{}", "volumes_delete", volumes::delete),
    op("GET", "/v2/volumes/{}/snapshots", "volumeSnapshots_list", volumes::snapshots),
    op("GET", "/v2/floating_ips", "floatingIPs_list", network::floating_ips),
    op("GET", "/v2/floating_ips/{}", "floatingIPs_get", network::floating_ip),
    op("GET", "/v2/reserved_ips", "reservedIPs_list", network::reserved_ips),
    op("GET", "/v2/reserved_ips/{}", "reservedIPs_get", network::reserved_ip),
    op("GET", "/v2/firewalls", "firewalls_list", network::firewalls),
    op("GET", "/v2/firewalls/{}", "firewalls_get", network::firewall),
    op("GET", "/v2/load_balancers", "loadBalancers_list", network::load_balancers),
    op("GET", "/v2/load_balancers/{}", "loadBalancers_get", network::load_balancer),
    op("GET", "/v2/vpcs", "vpcs_list", network::vpcs),
    op("GET", "/v2/databases", "databases_list_clusters", clusters::databases),
    op("GET", "/v2/databases/{}", "databases_get_cluster", clusters::database),
    op("GET", "/v2/kubernetes/clusters", "kubernetes_list_clusters", clusters::kubernetes),
    op("GET", "/v2/kubernetes/clusters/{}", "kubernetes_get_cluster", clusters::kubernetes_one),
    op("GET", "/v2/domains", "domains_list", domains::list),
    op("POST", "/v2/domains", "domains_create", domains::create),
    op("GET", "/v2/domains/{}", "domains_get", domains::get),
    op("DELETE", "/v2/domains/{}", "domains_delete", domains::delete),
    op("GET", "/v2/domains/{}/records", "domains_list_records", records::list),
    op("POST", "/v2/domains/{}/records", "domains_create_record", records::create),
    op("GET", "/v2/domains/{}/records/{}", "domains_get_record", records::get),
    op("PUT", "/v2/domains/{}/records/{}", "domains_update_record", records::update),
    op("PATCH", "/v2/domains/{}/records/{}", "domains_patch_record", records::update),
    op("DELETE", "/v2/domains/{}/records/{}", "domains_delete_record", records::delete),
    op("GET", "/v2/projects", "projects_list", projects::list),
    op("POST", "/v2/projects", "projects_create", projects::create),
    op("GET", "/v2/projects/default", "projects_get_default", projects::get_default),
    op(
        "GET",
        "/v2/projects/default/resources",
        "projects_list_resources_default",
        projects::resources_default,
    ),
    op(
        "POST",
        "/v2/projects/default/resources",
        "projects_assign_resources_default",
        projects::assign_default,
    ),
    op("GET", "/v2/projects/{}", "projects_get", projects::get),
    op("PUT", "/v2/projects/{}", "projects_update", projects::update),
    op("PATCH", "/v2/projects/{}", "projects_patch", projects::patch),
    op("DELETE", "/v2/projects/{}", "projects_delete", projects::delete),
    op("GET", "/v2/projects/{}/resources", "projects_list_resources", projects::resources),
    op("POST", "/v2/projects/{}/resources", "projects_assign_resources", projects::assign),
    op("GET", "/v2/tags", "tags_list", tags::list),
    op("POST", "/v2/tags", "tags_create", tags::create),
    op("GET", "/v2/tags/{}", "tags_get", tags::get),
    op("DELETE", "/v2/tags/{}", "tags_delete", tags::delete),
    op("POST", "/v2/tags/{}/resources", "tags_assign_resources", tags::assign),
    op("DELETE", "/v2/tags/{}/resources", "tags_unassign_resources", tags::unassign),
    op("GET", "/v2/customers/my/balance", "balance_get", billing::balance),
    op("GET", "/v2/customers/my/billing_history", "billingHistory_list", billing::history),
    op("GET", "/v2/customers/my/invoices", "invoices_list", billing::invoices),
    op("GET", "/v2/customers/my/invoices/{}", "invoices_get_byUUID", billing::items),
    op("GET", "/v2/customers/my/invoices/{}/csv", "invoices_get_csvByUUID", billing::csv),
    op("GET", "/v2/customers/my/invoices/{}/pdf", "invoices_get_pdfByUUID", billing::pdf),
    op("GET", "/v2/customers/my/invoices/{}/summary", "invoices_get_summaryByUUID", billing::summary),
    op("GET", "/v2/billing/{}/insights/{}/{}", "billingInsights_list", billing::insights),
];

/// The operation of a method and path, with the decoded variable segments.
pub fn find(method: &str, path: &str) -> Option<(&'static Operation, Vec<String>)> {
    OPERATIONS
        .iter()
        .filter(|operation| operation.method == method)
        .find_map(|operation| Some((operation, capture(operation.path, path)?)))
}

/// Whether an operation of that name exists.
pub fn exists(id: &str) -> bool {
    OPERATIONS.iter().any(|operation| operation.id == id)
}

fn capture(template: &str, path: &str) -> Option<Vec<String>> {
    let mut params = Vec::new();
    let mut given = path.split('/');
    for expected in template.split('/') {
        let segment = given.next()?;
        if expected == "{}" {
            if segment.is_empty() {
                return None;
            }
            params.push(decode(segment));
        } else if expected != segment {
            return None;
        }
    }
    given.next().is_none().then_some(params)
}

/// Percent decoding alone: a plus sign in a path is a plus sign.
fn decode(segment: &str) -> String {
    let encoded = segment.replace('+', "%2B");
    let query = format!("x={encoded}");
    url::form_urlencoded::parse(query.as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}
