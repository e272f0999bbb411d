//! The account itself, its keys, and what the provider offers it.

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::kind::Kind;
use crate::paging::{page_of, page_of_table};
use crate::reference;
use crate::state::Account;

pub fn get(account: &mut Account, _call: &Call<'_>) -> Result<Answer, Refusal> {
    Ok(Answer::one("account", Value::Object(account.profile.clone())))
}

pub fn keys(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    Ok(page_of_table(account, call, "ssh_keys", Kind::Keys))
}

pub fn regions(_account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    Ok(page_of(call, "regions", &reference::regions()))
}

pub fn sizes(_account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    Ok(page_of(call, "sizes", &reference::sizes()))
}

/// The one listing whose key is absent when there is nothing to list.
pub fn apps(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    if account.table(Kind::Apps).is_empty() {
        return Ok(Answer::json(200, &json!({"links": {}, "meta": {"total": 0}})));
    }
    Ok(page_of_table(account, call, "apps", Kind::Apps))
}

pub fn spaces_keys(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    Ok(page_of_table(account, call, "keys", Kind::SpacesKeys))
}
