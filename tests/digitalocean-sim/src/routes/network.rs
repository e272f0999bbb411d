//! Addresses, firewalls, load balancers and private networks.

use serde_json::Value;

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::kind::Kind;
use crate::paging::{page_of, page_of_table};
use crate::render;
use crate::state::Account;

pub fn floating_ips(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    Ok(page_of(call, "floating_ips", &addresses(account)))
}

/// The same rows under the product's newer name.
pub fn reserved_ips(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    Ok(page_of(call, "reserved_ips", &addresses(account)))
}

pub fn floating_ip(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    address(account, call, "floating_ip")
}

pub fn reserved_ip(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    address(account, call, "reserved_ip")
}

pub fn firewalls(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    Ok(page_of_table(account, call, "firewalls", Kind::Firewalls))
}

pub fn firewall(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    one(account, call, "firewall", Kind::Firewalls)
}

pub fn load_balancers(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    Ok(page_of_table(account, call, "load_balancers", Kind::LoadBalancers))
}

pub fn load_balancer(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    one(account, call, "load_balancer", Kind::LoadBalancers)
}

pub fn vpcs(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    Ok(page_of_table(account, call, "vpcs", Kind::Vpcs))
}

fn addresses(account: &Account) -> Vec<Value> {
    account.table(Kind::FloatingIps).iter().map(|(_, row)| render::floating_ip(account, row)).collect()
}

fn address(account: &Account, call: &Call<'_>, root: &str) -> Result<Answer, Refusal> {
    let row = account.table(Kind::FloatingIps).get(call.param(0)).ok_or_else(Refusal::not_found)?;
    Ok(Answer::one(root, render::floating_ip(account, row)))
}

fn one(account: &Account, call: &Call<'_>, root: &str, kind: Kind) -> Result<Answer, Refusal> {
    let row = account.table(kind).get(call.param(0)).ok_or_else(Refusal::not_found)?;
    Ok(Answer::one(root, render::row(kind, row.fields())))
}
