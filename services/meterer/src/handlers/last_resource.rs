//! The inventory changed: keep what usage depends on.

use contracts::syncer::{LastResource, ResourceState};
use messaging::{Handle, HandlerError, Outcome, Received};
use serde_json::Value;
use sqlx::PgConnection;
use tracing::warn;

use crate::{
    Meterer,
    domain::gigabytes::{Gigabytes, InvalidGigabytes},
    store::attributed_resource::{self, AttributedResource},
};

/// Where a resource that has a size says it.
const SIZE: &str = "size_gigabytes";

impl Handle<LastResource> for Meterer {
    async fn handle(
        &self,
        tx: &mut PgConnection,
        message: LastResource,
        _received: &Received,
    ) -> Result<Outcome, HandlerError> {
        let resource = message.resource;
        // A size that cannot be read is an unknown one, which metering lists; who serves whom is still news.
        let size = size(&resource).unwrap_or_else(|error| {
            warn!(%error, resource.id = %resource.id, resource.kind = %resource.kind, "size is unknown");
            None
        });
        let row = AttributedResource {
            resource_id: resource.id,
            kind: resource.kind,
            name: resource.name,
            status: resource.status,
            size,
            deployment_id: resource.deployment_id,
            tenant_id: resource.tenant_id,
            deleted_at: resource.deleted_at,
            version: resource.version,
        };
        attributed_resource::save(tx, &row).await?;
        Ok(Outcome::Done)
    }
}

fn size(resource: &ResourceState) -> Result<Option<Gigabytes>, InvalidGigabytes> {
    match resource.attrs.get(SIZE) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some),
        // Volumes have whole gigabytes. A fraction that was written as a number has been a float already.
        Some(Value::Number(number)) if number.is_u64() => number.to_string().parse().map(Some),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => Err(InvalidGigabytes),
    }
}
