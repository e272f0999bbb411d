//! An operator says whose a project is, and what it is for.

use contracts::{
    Problem,
    syncer::{ClassifyProject, Project},
};
use messaging::{Execute, Refusal};
use sqlx::PgConnection;

use crate::{
    Syncer,
    domain::{attribution::Home, project::Mirrored},
    store,
};

impl Execute<ClassifyProject> for Syncer {
    async fn execute(&self, tx: &mut PgConnection, command: ClassifyProject) -> Result<Project, Refusal> {
        store::lock_inventory(tx).await?;
        let Some(before) = store::project::find(tx, command.id).await? else {
            return Err(Problem::not_found().into());
        };
        let mut after = before.clone();
        after.project.tenant_id = command.tenant_id;
        if let Some(purpose) = command.purpose {
            after.project.purpose = Some(purpose);
            after.purpose_from_operator = true;
        }
        let now = self.clock.now();
        if after != before {
            store::project::classify(tx, after.clone(), now).await?;
        }
        // Also when the project is as it was: what follows it may not be yet.
        let Mirrored { project, .. } = after;
        let home = Home { project: Some(project.id), tenant: project.tenant_id.clone(), deployment: None };
        store::resource::follow_project(tx, &home, &command.actor.subject, now).await?;
        Ok(project)
    }
}
