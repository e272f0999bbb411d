//! A tenant, or an operator for one, creates a deployment.

use chrono::{DateTime, Utc};
use contracts::{
    Problem,
    biller::{CreateDeployment, Deployment, DeploymentState, Subscription},
    ids::{DeploymentId, SubscriptionId},
};
use messaging::{Execute, Refusal};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Biller,
    domain::{
        deployment,
        subscription::{self, Beginning},
    },
    store::{self, deployment::By, storable},
};

impl Execute<CreateDeployment> for Biller {
    async fn execute(&self, tx: &mut PgConnection, command: CreateDeployment) -> Result<Deployment, Refusal> {
        if command.scope.tenant().is_some_and(|tenant| *tenant != command.tenant_id) {
            return Err(Problem::not_found().into());
        }
        deployment::check(&command)?;
        let now = storable(self.clock.now());
        let state = match command.trial_days {
            Some(_) => DeploymentState::Trial,
            None => DeploymentState::Active,
        };
        let subscription = subscription(tx, &command, state, now).await?;
        // What operators create is not limited, and does not wait for what the tenant creates.
        if let Some(tenant) = command.scope.tenant() {
            let living = store::deployment::lock_number(tx, tenant).await?;
            deployment::check_number(living, self.deployments_per_tenant_max)?;
        }
        let deployment = Deployment {
            id: DeploymentId::from_uuid(Uuid::now_v7()),
            tenant_id: command.tenant_id,
            slug: command.slug,
            display_name: command.display_name,
            region: command.region,
            state,
            llm_mode: command.llm_mode,
            billing_action_suspended: false,
            template_code: command.template_code,
            template_version: command.template_version,
            subscription,
            created_at: now,
            version: 1,
        };
        let by = By::actor(&command.actor, None);
        if store::deployment::create(tx, &deployment, by, now).await? {
            return Ok(deployment);
        }
        let detail =
            format!("The tenant has a deployment with the slug {}; choose another slug.", deployment.slug);
        Err(Problem::conflict(detail).into())
    }
}

async fn subscription(
    tx: &mut PgConnection,
    command: &CreateDeployment,
    state: DeploymentState,
    now: DateTime<Utc>,
) -> Result<Option<Subscription>, Refusal> {
    let Some(plan_code) = &command.plan_code else { return Ok(None) };
    let offered = store::deployment::offered(tx, plan_code, &command.addons).await?;
    let beginning = Beginning {
        id: SubscriptionId::from_uuid(Uuid::now_v7()),
        addons: &command.addons,
        trial_days: command.trial_days,
        state,
        now,
    };
    Ok(Some(subscription::begin(beginning, &offered)?))
}
