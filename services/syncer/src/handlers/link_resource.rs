//! An operator says which deployment a resource is part of, and so whose it is.

use contracts::{
    Problem,
    syncer::{LinkResource, Resource, ResourceState},
};
use messaging::{Execute, Refusal};
use sqlx::PgConnection;

use crate::{
    Syncer,
    domain::{
        attribution::Home,
        change::{Change, Happening, differences},
        link::{self, CannotLink},
    },
    store::{self, StoreError},
};

impl Execute<LinkResource> for Syncer {
    async fn execute(&self, tx: &mut PgConnection, command: LinkResource) -> Result<Resource, Refusal> {
        store::lock_inventory(tx).await?;
        let Some(before) = store::resource::find(tx, command.id).await? else {
            return Err(Problem::not_found().into());
        };
        let mut after = match command.deployment_id {
            Some(id) => {
                let deployment = store::known_deployment::find(tx, id).await?;
                link::link(&before, deployment.as_ref()).map_err(refusal)?
            }
            None => unlinked(tx, &before).await?,
        };
        let changes = differences(&before, &after);
        // A link that changes nothing to see still decides what the next walk may do, so it is written all the same.
        let change = (!changes.is_empty()).then(|| {
            after.version += 1;
            Change { state: after.clone(), happening: Happening::Tagged(changes) }
        });
        let (linked, actor, now) =
            (command.deployment_id.is_some(), command.actor.subject.as_str(), self.clock.now());
        store::resource::link(tx, command.id, linked, change, actor, now).await?;
        // Also when the resource is as it was: what follows it may not be there yet.
        let followers = store::resource::followers(tx, &after).await?;
        let (home, now) = (Home::from(&after), store::storable(now));
        store::resource::attribute(tx, &followers, &home, Some(actor), now).await?;
        let resource = store::inventory::resource(tx, command.id, None).await?;
        resource.ok_or_else(|| StoreError::Database(sqlx::Error::RowNotFound).into())
    }
}

async fn unlinked(tx: &mut PgConnection, before: &ResourceState) -> Result<ResourceState, Refusal> {
    if !store::resource::is_linked(tx, before.id).await? {
        return Ok(before.clone());
    }
    let project = match before.cloud_project_id {
        Some(id) => Some(store::project::home(tx, id).await?),
        None => None,
    };
    let parent = store::resource::home_of_parent(tx, before.id).await?;
    Ok(link::unlink(before, project.as_ref(), parent.as_ref()).map_err(refusal)?)
}

fn refusal(reason: CannotLink) -> Problem {
    let field = match reason {
        CannotLink::ResourceDeleted => "/id",
        CannotLink::DeploymentUnknown | CannotLink::DeploymentOver(_) => "/deployment_id",
    };
    Problem::unprocessable(field, reason.to_string())
}
