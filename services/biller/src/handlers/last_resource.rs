//! The inventory changed: keep what a bill's line is matched with.

use contracts::syncer::LastResource;
use messaging::{Handle, HandlerError, Outcome, Received};
use sqlx::PgConnection;

use crate::{
    Biller,
    store::resource_ref::{self, ResourceRef},
};

impl Handle<LastResource> for Biller {
    async fn handle(
        &self,
        tx: &mut PgConnection,
        message: LastResource,
        _received: &Received,
    ) -> Result<Outcome, HandlerError> {
        let resource = message.resource;
        let row = ResourceRef {
            resource_id: resource.id,
            kind: resource.kind,
            name: resource.name,
            status: resource.status,
            deployment_id: resource.deployment_id,
            tenant_id: resource.tenant_id,
            deleted_at: resource.deleted_at,
            version: resource.version,
        };
        resource_ref::save(tx, &row).await?;
        Ok(Outcome::Done)
    }
}
