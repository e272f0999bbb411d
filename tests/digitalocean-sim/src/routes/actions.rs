//! Actions of the whole account, newest first.

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::kind::Kind;
use crate::paging::page_of;
use crate::render;
use crate::state::Account;

pub fn list(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let rows: Vec<_> = account
        .table(Kind::Actions)
        .iter()
        .rev()
        .map(|(_, row)| render::row(Kind::Actions, row.fields()))
        .collect();
    Ok(page_of(call, "actions", &rows))
}

pub fn get(account: &mut Account, call: &Call<'_>) -> Result<Answer, Refusal> {
    let row = account.table(Kind::Actions).get(call.param(0)).ok_or_else(Refusal::not_found)?;
    Ok(Answer::one("action", render::row(Kind::Actions, row.fields())))
}
