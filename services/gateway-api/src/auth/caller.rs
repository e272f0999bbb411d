//! Who asks, as their token says.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use contracts::{Actor, Scope, TenantId};
use http::request::Parts;

use crate::problem::Failure;

/// The role of operators; compared byte by byte, never trimmed, lower-cased or normalised.
const OPERATOR: &str = "platform-admin";
/// The role of the LLM gateway; compared in the same way.
const LLM_GATEWAY: &str = "llm-gateway";

/// Who asks. Made by the verifier alone; cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller(Arc<Identity>);

#[derive(Debug)]
struct Identity {
    subject: String,
    tenant: TenantId,
    roles: Vec<String>,
    expires_at: u64,
    operator: bool,
}

impl Caller {
    pub(super) fn new(subject: String, tenant: TenantId, roles: Vec<String>, expires_at: u64) -> Self {
        let operator = roles.iter().any(|role| role == OPERATOR);
        Self(Arc::new(Identity { subject, tenant, roles, expires_at, operator }))
    }

    /// A caller for tests of what callers may do.
    #[cfg(test)]
    pub(crate) fn named(tenant: &str, subject: &str) -> Self {
        Self::new(subject.to_owned(), tenant.parse().expect("tests name tenants well"), Vec::new(), 0)
    }

    /// `sub` of the token.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The tenant that the token was issued for.
    pub fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    /// The roles as the token lists them.
    pub fn roles(&self) -> &[String] {
        &self.0.roles
    }

    /// When the token expires, in seconds since 1970.
    pub fn expires_at(&self) -> u64 {
        self.0.expires_at
    }

    /// Whether the caller may see and do everything.
    pub fn is_operator(&self) -> bool {
        self.0.operator
    }

    /// Whether usage is taken from the caller.
    pub fn is_usage_producer(&self) -> bool {
        self.is_operator() || self.0.roles.iter().any(|role| role == LLM_GATEWAY)
    }

    /// Whose rows the caller may see.
    pub fn scope(&self) -> Scope {
        if self.is_operator() { Scope::Operator } else { Scope::Tenant(self.0.tenant.clone()) }
    }

    /// The caller as the one who gave an order.
    pub fn actor(&self) -> Actor {
        Actor { subject: self.0.subject.clone(), tenant_id: self.0.tenant.clone() }
    }
}

/// The router has verified the token before any handler runs; without one there is nobody.
impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Failure::unauthorized)
    }
}
