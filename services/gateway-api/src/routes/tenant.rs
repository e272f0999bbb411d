//! The parameter `tenant`, which narrows what is asked about.

use contracts::{Problem, TenantId};

use crate::{auth::Caller, input::Parameters, problem::Failure};

/// The tenant that the caller asks about. For others than operators that is at most their own: asking for another's
/// rows is a mistake to point out, not an empty list to return.
pub(super) fn named_tenant(caller: &Caller, parameters: &Parameters) -> Result<Option<TenantId>, Failure> {
    let tenant: Option<TenantId> = parameters.optional("tenant")?;
    if !caller.is_operator() && tenant.as_ref().is_some_and(|tenant| tenant != caller.tenant()) {
        return Err(Problem::unprocessable("tenant", "names a tenant that is not yours").into());
    }
    Ok(tenant)
}
