//! Whose data a query may see, and who gave an order. Only the gateway makes these, from a verified token.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::TenantId;

/// Whose rows a query may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everyone's.
    Operator,
    /// One tenant's own.
    Tenant(TenantId),
}

impl Scope {
    /// The tenant the scope is limited to; `None` for operators.
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Operator => None,
            Self::Tenant(tenant) => Some(tenant),
        }
    }
}

/// Who gave an order, for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Actor {
    /// `sub` of the verified token.
    pub subject: String,
    /// The tenant the token was issued for.
    pub tenant_id: TenantId,
}
