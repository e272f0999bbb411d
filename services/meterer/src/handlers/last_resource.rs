//! The inventory changed: keep what usage depends on, and since when. Comes twice: every event of the stream of events,
//! and the last of each resource, for those whose events are too old to be there.

use chrono::{DateTime, Utc};
use contracts::{
    envelope,
    syncer::{LastResource, ResourceState},
};
use messaging::{Handle, HandlerError, Outcome, Received};
use serde_json::Value;
use sqlx::PgConnection;
use tracing::warn;

use crate::{
    Meterer,
    domain::gigabytes::{Gigabytes, InvalidGigabytes},
    store::{self, resource_state},
};

/// Where a resource that has a size says it.
const SIZE: &str = "size_gigabytes";

impl Handle<LastResource> for Meterer {
    async fn handle(
        &self,
        tx: &mut PgConnection,
        message: LastResource,
        received: &Received,
    ) -> Result<Outcome, HandlerError> {
        let Some(from_at) = time(received) else {
            return Ok(Outcome::Park(format!("the header {} says no time", envelope::CE_TIME)));
        };
        let resource = message.resource;
        // A size that cannot be read is an unknown one, which metering lists; who serves whom is still news.
        let size = size(&resource).unwrap_or_else(|error| {
            warn!(%error, resource.id = %resource.id, resource.kind = %resource.kind, "size is unknown");
            None
        });
        let state = resource_state::ResourceState {
            resource_id: resource.id,
            version: resource.version,
            from_at,
            kind: resource.kind,
            name: resource.name,
            status: resource.status,
            size,
            deployment_id: resource.deployment_id,
            tenant_id: resource.tenant_id,
            deleted: resource.deleted_at.is_some(),
        };
        store::lock_metering(tx).await?;
        resource_state::save(tx, &state).await?;
        Ok(Outcome::Done)
    }
}

/// When the state began: the event's time.
fn time(received: &Received) -> Option<DateTime<Utc>> {
    received.headers.get(envelope::CE_TIME)?.parse().ok()
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
