//! A running biller with its catalog, spoken to as the gateway does.

use contracts::{
    Actor, Command, Problem, Query, Scope, Service,
    biller::{
        CreateAddon, CreatePlan, CreatePlanVersion, ListPlans, PlanItem, PlanVersion, PublishPlanVersion,
        Unit,
    },
    ids::{Code, PlanVersionId},
    paging::PageRequest,
};
use messaging::{IdempotencyKey, Nats};
use money::{Cents, Currency, Quantity};
use test_support::{World, eventually, programs::Program};

pub struct Shop {
    pub world: World,
    pub biller: Program,
    pub gateway: Nats,
}

impl Shop {
    /// Biller on an empty database.
    pub async fn start() -> Self {
        let world = World::start().await;
        let biller = world.run(Service::Biller, Vec::new());
        let gateway = world.connect(Service::GatewayApi.name()).await;
        let shop = Self { world, biller, gateway };
        shop.answers().await;
        shop
    }

    /// Stops biller and starts it again.
    pub async fn restart(&mut self) {
        let status = test_support::world::terminate(&self.biller).await;
        assert!(status.success(), "{status}: {}", self.biller.printed());
        self.biller = self.world.run(Service::Biller, Vec::new());
        self.answers().await;
    }

    async fn answers(&self) {
        let list = ListPlans { scope: Scope::Operator, page: PageRequest::default() };
        eventually("biller answers", async || self.gateway.query(&list).await.map(drop)).await;
    }

    /// Gives a command; a refusal is shown as status, field and detail.
    pub async fn command<C: Command>(&self, command: &C) -> Result<C::Reply, String> {
        match self.gateway.command(command, &IdempotencyKey::random()).await {
            Ok(replied) => Ok(serde_json::from_slice(&replied.body).unwrap()),
            Err(problem) => Err(shown(&problem)),
        }
    }

    /// Asks a query; a refusal is shown as status, field and detail.
    pub async fn query<Q: Query>(&self, query: &Q) -> Result<Q::Reply, String> {
        let body = self.gateway.query(query).await.map_err(|problem| shown(&problem))?;
        Ok(serde_json::from_slice(&body).unwrap())
    }

    /// A plan with nothing on offer yet.
    pub async fn plan(&self, code: &str, name: &str) {
        let plan = CreatePlan { code: code.parse().unwrap(), name: name.to_owned(), actor: operator() };
        self.command(&plan).await.unwrap();
    }

    /// A draft of a plan.
    pub async fn draft(&self, plan: &str, base_price_cents: i64, items: Vec<PlanItem>) -> PlanVersion {
        self.command(&version(plan, base_price_cents, items)).await.unwrap()
    }

    /// Puts a draft on offer.
    pub async fn publish(&self, id: PlanVersionId) -> Result<PlanVersion, String> {
        self.command(&PublishPlanVersion { id, actor: operator() }).await
    }

    /// Studio and its storage add-on, on offer.
    pub async fn studio(&self) -> PlanVersion {
        self.plan("studio", "Studio").await;
        let draft = self.draft("studio", 5_000, studio_items()).await;
        self.command(&addon("storage_50gb", Currency::AUD)).await.unwrap();
        self.publish(draft.id).await.unwrap()
    }
}

/// What SPEC says of Studio, and allowances for the rest.
pub fn studio_items() -> Vec<PlanItem> {
    vec![
        item("droplet_hours", 1_488, Unit::Hour, 1),
        item("spaces_gb_month", 100, Unit::GbMonth, 2),
        item("snapshot_gb_month", 100, Unit::GbMonth, 6),
        item("dns_zones", 5, Unit::ZoneMonth, 50),
        item("llm_tokens", 1_000_000, Unit::ThousandTokens, 1),
    ]
}

pub fn item(kind: &str, included: u64, unit: Unit, cents: i64) -> PlanItem {
    PlanItem {
        resource_kind: kind.parse().unwrap(),
        included_qty: Quantity::from(included),
        overage_unit: unit,
        overage_price_cents: Cents::new(cents),
        hard_cap_qty: None,
    }
}

pub fn version(plan: &str, base_price_cents: i64, items: Vec<PlanItem>) -> CreatePlanVersion {
    CreatePlanVersion {
        plan_code: code(plan),
        base_price_cents: Cents::new(base_price_cents),
        currency: Currency::AUD,
        items,
        actor: operator(),
    }
}

pub fn addon(code_of_it: &str, currency: Currency) -> CreateAddon {
    CreateAddon {
        code: code(code_of_it),
        name: "Storage 50 GB".to_owned(),
        resource_kind: "spaces_gb_month".parse().unwrap(),
        qty: Quantity::from(50),
        price_cents: Cents::new(750),
        currency,
        actor: operator(),
    }
}

pub fn code(text: &str) -> Code {
    text.parse().unwrap()
}

pub fn operator() -> Actor {
    Actor { subject: "op-1".to_owned(), tenant_id: "platform-admin".parse().unwrap() }
}

pub fn tenant() -> Scope {
    Scope::Tenant("acme".parse().unwrap())
}

fn shown(problem: &Problem) -> String {
    match problem.errors.first() {
        Some(error) => format!("{} {}: {}", problem.status, error.field, error.detail),
        None => format!("{} {}", problem.status, problem.detail.as_deref().unwrap_or_default()),
    }
}
