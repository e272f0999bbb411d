//! Linking a resource to a deployment, and loosening the link: what it takes, and whose the resource is then.
//!
//! A link to what is over is refused; a deployment that ends later keeps its resources, as their costs go on until
//! they are destroyed.

use contracts::{TenantId, biller::DeploymentState, ids::DeploymentId, syncer::ResourceState};

use super::attribution::{Home, given_to};

/// A deployment, as far as a link depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDeployment {
    /// Which.
    pub id: DeploymentId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Where it stands.
    pub state: DeploymentState,
}

/// A resource cannot be linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotLink {
    /// What is gone was part of what it was part of.
    #[error("the resource is deleted")]
    ResourceDeleted,
    /// Nobody has told of the deployment.
    #[error("no such deployment is known")]
    DeploymentUnknown,
    /// The deployment takes nothing in any more.
    #[error("the deployment is {0}")]
    DeploymentOver(DeploymentState),
}

/// The resource as part of a deployment. `None`: it is not known.
pub fn link(
    before: &ResourceState,
    deployment: Option<&KnownDeployment>,
) -> Result<ResourceState, CannotLink> {
    alive(before)?;
    let Some(deployment) = deployment else { return Err(CannotLink::DeploymentUnknown) };
    match deployment.state {
        DeploymentState::Cancelled | DeploymentState::Archived => {
            Err(CannotLink::DeploymentOver(deployment.state))
        }
        DeploymentState::Provisioning
        | DeploymentState::Trial
        | DeploymentState::Active
        | DeploymentState::PastDue
        | DeploymentState::Paused
        | DeploymentState::Suspended => {
            let home = Home {
                project: before.cloud_project_id,
                tenant: Some(deployment.tenant_id.clone()),
                deployment: Some(deployment.id),
            };
            Ok(given_to(before, false, &home))
        }
    }
}

/// The resource without its link: it follows what it was taken of, if that is part of a deployment, and else is its
/// project's tenant's. What is in no project is nobody's.
pub fn unlink(
    before: &ResourceState,
    project: Option<&Home>,
    parent: Option<&Home>,
) -> Result<ResourceState, CannotLink> {
    alive(before)?;
    let followed = parent.filter(|parent| parent.deployment.is_some());
    let home = followed.or(project).cloned().unwrap_or_default();
    Ok(given_to(before, false, &Home { project: before.cloud_project_id, ..home }))
}

fn alive(resource: &ResourceState) -> Result<(), CannotLink> {
    match resource.deleted_at {
        Some(_) => Err(CannotLink::ResourceDeleted),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use expect_test::{Expect, expect};
    use uuid::Uuid;

    use super::*;
    use crate::domain::change::tests::state;

    fn deployment(state: DeploymentState) -> KnownDeployment {
        KnownDeployment {
            id: DeploymentId::from_uuid(Uuid::from_u128(0xdd)),
            tenant_id: "acme".parse().unwrap(),
            state,
        }
    }

    fn home(tenant: &str) -> Home {
        Home { tenant: Some(tenant.parse().unwrap()), ..Home::default() }
    }

    fn check(outcome: Result<ResourceState, CannotLink>, expected: Expect) {
        expected.assert_eq(&match outcome {
            Ok(ResourceState { tenant_id, deployment_id, .. }) => {
                let deployment = deployment_id.map_or(0, |id| id.as_uuid().as_u128());
                let tenant = tenant_id.map_or("nobody".to_owned(), |tenant| tenant.to_string());
                format!("{tenant}'s, part of {deployment:x}")
            }
            Err(reason) => format!("cannot: {reason}"),
        });
    }

    #[test]
    fn a_linked_resource_is_its_deployments_tenants() {
        let deleted = ResourceState { deleted_at: Some(DateTime::UNIX_EPOCH), ..state() };
        for living in [
            DeploymentState::Provisioning,
            DeploymentState::Trial,
            DeploymentState::Active,
            DeploymentState::PastDue,
            DeploymentState::Paused,
            DeploymentState::Suspended,
        ] {
            check(link(&state(), Some(&deployment(living))), expect!["acme's, part of dd"]);
        }
        check(
            link(&state(), Some(&deployment(DeploymentState::Cancelled))),
            expect!["cannot: the deployment is cancelled"],
        );
        check(
            link(&state(), Some(&deployment(DeploymentState::Archived))),
            expect!["cannot: the deployment is archived"],
        );
        check(link(&state(), None), expect!["cannot: no such deployment is known"]);
        check(
            link(&deleted, Some(&deployment(DeploymentState::Active))),
            expect!["cannot: the resource is deleted"],
        );
        check(unlink(&deleted, None, None), expect!["cannot: the resource is deleted"]);
    }

    #[test]
    fn without_its_link_a_resource_is_its_projects_tenants() {
        let linked = link(&state(), Some(&deployment(DeploymentState::Active))).unwrap();
        let parent =
            Home { deployment: Some(DeploymentId::from_uuid(Uuid::from_u128(0xee))), ..home("initech") };
        check(unlink(&linked, None, None), expect!["nobody's, part of 0"]);
        check(unlink(&linked, Some(&home("globex")), None), expect!["globex's, part of 0"]);
        check(unlink(&linked, Some(&home("globex")), Some(&home("hooli"))), expect!["globex's, part of 0"]);
        check(unlink(&linked, Some(&home("globex")), Some(&parent)), expect!["initech's, part of ee"]);
    }
}
