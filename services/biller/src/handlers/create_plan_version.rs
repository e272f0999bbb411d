//! An operator drafts a plan's next version, with its items.

use contracts::{
    Problem, Service,
    biller::{CreatePlanVersion, PlanVersion, PlanVersionCreated, PlanVersionStatus},
    ids::PlanVersionId,
};
use messaging::{
    Execute, Refusal,
    outbox::{self, Draft},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Biller,
    domain::catalog::{check_items, check_price},
    store::{self, storable},
};

impl Execute<CreatePlanVersion> for Biller {
    async fn execute(
        &self,
        tx: &mut PgConnection,
        command: CreatePlanVersion,
    ) -> Result<PlanVersion, Refusal> {
        let CreatePlanVersion { plan_code, base_price_cents, currency, mut items, actor } = command;
        check_price("/base_price_cents", base_price_cents)?;
        check_items(&items)?;
        items.sort_by(|one, other| one.resource_kind.cmp(&other.resource_kind));
        let Some(version) = store::catalog::plan::next_version(tx, &plan_code).await? else {
            return Err(Problem::not_found().into());
        };
        let now = self.clock.now();
        let draft = PlanVersion {
            id: PlanVersionId::from_uuid(Uuid::now_v7()),
            plan_code,
            version,
            status: PlanVersionStatus::Draft,
            base_price_cents,
            currency,
            items,
            created_at: storable(now),
            published_at: None,
            retired_at: None,
        };
        store::catalog::version::insert_draft(tx, &draft).await?;
        let event = PlanVersionCreated { version: draft.clone(), actor };
        outbox::add(tx, &[Draft::event(Service::Biller, &event, now)?]).await?;
        Ok(draft)
    }
}
