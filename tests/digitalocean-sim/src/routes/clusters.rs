//! Managed databases, whose answers hold live passwords, and Kubernetes clusters.

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::kind::Kind;
use crate::paging::page_of_table;
use crate::render;
use crate::state::Account;

/// Not paged: everything at once, without `links` or `meta`.
pub fn databases(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let tag = call.query("tag_name");
    let rows: Vec<Value> = account
        .table(Kind::Databases)
        .iter()
        .filter(|(_, row)| tag.is_none_or(|tag| row.texts("tags").any(|known| known == tag)))
        .map(|(_, row)| render::row(Kind::Databases, row.fields()))
        .collect();
    Ok(Answer::json(200, &json!({"databases": rows})))
}

pub fn database(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let row = account.table(Kind::Databases).get(call.param(0)).ok_or_else(Refusal::not_found)?;
    Ok(Answer::one("database", render::row(Kind::Databases, row.fields())))
}

pub fn kubernetes(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    Ok(page_of_table(account, call, "kubernetes_clusters", Kind::KubernetesClusters))
}

pub fn kubernetes_one(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let row = account.table(Kind::KubernetesClusters).get(call.param(0)).ok_or_else(Refusal::not_found)?;
    Ok(Answer::one("kubernetes_cluster", render::row(Kind::KubernetesClusters, row.fields())))
}
