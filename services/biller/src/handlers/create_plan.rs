//! An operator makes a plan.

use contracts::{
    Problem, Service,
    biller::{CreatePlan, Plan, PlanCreated},
};
use messaging::{
    Execute, Refusal,
    outbox::{self, Draft},
};
use sqlx::PgConnection;

use crate::{
    Biller,
    domain::catalog::check_name,
    store::{self, storable},
};

impl Execute<CreatePlan> for Biller {
    async fn execute(&self, tx: &mut PgConnection, command: CreatePlan) -> Result<Plan, Refusal> {
        let CreatePlan { code, name, actor } = command;
        check_name("/name", &name)?;
        let now = self.clock.now();
        let plan = Plan { code, name, created_at: storable(now), active_version: None };
        if !store::catalog::plan::insert(tx, &plan).await? {
            return Err(Problem::conflict(format!("There is a plan {} already.", plan.code)).into());
        }
        let event = PlanCreated { plan: plan.clone(), actor };
        outbox::add(tx, &[Draft::event(Service::Biller, &event, now)?]).await?;
        Ok(plan)
    }
}
