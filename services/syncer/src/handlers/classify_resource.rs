//! An operator says whose a DNS zone outside every project is.

use contracts::{
    Problem,
    syncer::{ClassifyResource, Resource, ResourceKind},
};
use messaging::{Execute, Refusal};
use sqlx::PgConnection;

use crate::{
    Syncer,
    domain::{
        attribution::{Home, given_to},
        change::{Change, Happening, differences},
        reconcile::ATTR_PURPOSE,
    },
    store::{self, StoreError},
};

impl Execute<ClassifyResource> for Syncer {
    async fn execute(&self, tx: &mut PgConnection, command: ClassifyResource) -> Result<Resource, Refusal> {
        store::lock_inventory(tx).await?;
        let Some(before) = store::resource::find(tx, command.id).await? else {
            return Err(Problem::not_found().into());
        };
        if before.kind != ResourceKind::DnsZone || before.cloud_project_id.is_some() {
            let detail = "only a DNS zone outside every project is classified by itself; \
                          whatever is in a project takes its tenant: classify the project";
            return Err(Problem::unprocessable("/id", detail).into());
        }
        let linked = store::resource::is_linked(tx, command.id).await?;
        if linked && before.tenant_id != command.tenant_id {
            let detail =
                "the zone is part of a deployment, and so the deployment's tenant's; unlink it first";
            return Err(Problem::unprocessable("/tenant_id", detail).into());
        }
        let home = Home { tenant: command.tenant_id, ..Home::default() };
        let mut after = given_to(&before, linked, &home);
        if let Some(purpose) = command.purpose {
            after.attrs.insert(ATTR_PURPOSE.to_owned(), purpose.into());
        }
        let changes = differences(&before, &after);
        if !changes.is_empty() {
            after.version += 1;
            let change = Change { state: after, happening: Happening::Tagged(changes) };
            store::resource::classify(tx, change, &command.actor.subject, self.clock.now()).await?;
        }
        let resource = store::inventory::resource(tx, command.id, None).await?;
        resource.ok_or_else(|| StoreError::Database(sqlx::Error::RowNotFound).into())
    }
}
