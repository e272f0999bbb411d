//! The body by which an operator says whose something is.

use contracts::TenantId;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::input::{Nullable, Text, present};

/// Whose something is, and what it is for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Classification {
    /// Whose it is; `null`: nobody's.
    pub(crate) tenant_id: Nullable<TenantId>,
    /// What it is for; left out: as it is.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Text<255>")]
    pub(crate) purpose: Option<Text<255>>,
}
