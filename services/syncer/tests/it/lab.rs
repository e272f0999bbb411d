//! A syncer whose jobs and clock the test drives by hand.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use chrono::{DateTime, TimeDelta, Utc};
use contracts::{
    Actor, Command, Query, Service,
    ids::ResourceId,
    syncer::{Listing, ListingStatus, SyncJob},
};
use digitalocean::BudgetSize;
use messaging::{Answer, Execute, Intended, Outcome, Perform, Received, Refusal, ScopedTx};
use serde_json::{Value, json};
use sqlx::PgConnection;
use syncer::{
    Syncer,
    clock::Clock,
    provider::{Provider, Tokens},
};
use test_support::{World, provider::TOKEN};

/// Stands still until it is told to go on.
#[derive(Default)]
pub struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        let noon = DateTime::from_timestamp(1_793_880_000, 0).expect("a time in 2026");
        noon + TimeDelta::minutes(self.0.load(Ordering::Relaxed))
    }
}

pub struct Lab {
    pub world: World,
    pub provider: test_support::Provider,
    pub syncer: Syncer,
    clock: Arc<TestClock>,
}

impl Lab {
    /// A syncer that has not looked at this account yet.
    pub async fn start(account: Value) -> Self {
        let (world, provider) = tokio::join!(World::start(), test_support::Provider::start());
        provider.account(&account).await;
        let clock = Arc::new(TestClock::default());
        let token = || TOKEN.to_owned().into();
        let tokens = Tokens { sync_fast: token(), sync_full: token(), provisioning: token() };
        let budget = BudgetSize { per_minute: 1_000_000, per_hour: 1_000_000 };
        let clients =
            Provider::new(&provider.url.parse().expect("an address"), tokens, budget).expect("clients");
        let syncer = Syncer {
            pool: world.pool(Service::Syncer).await,
            provider: clients,
            clock: Arc::<TestClock>::clone(&clock),
        };
        Self { world, provider, syncer, clock }
    }

    /// Lets time pass.
    pub fn wait_minutes(&self, minutes: i64) {
        self.clock.0.fetch_add(minutes, Ordering::Relaxed);
    }

    /// Runs a sync job as the loop does, a minute after the last one.
    pub async fn sync<J: SyncJob + Default>(&self) {
        self.wait_minutes(1);
        let (job, received) = (J::default(), received());
        let mut tx = self.syncer.pool.begin().await.unwrap();
        let intended = self.syncer.intend(&mut tx, &job, &received).await.unwrap();
        tx.commit().await.unwrap();
        let Intended::Call(run) = intended else { panic!("a sync always calls the provider") };
        let walked = Perform::<J>::call(&self.syncer, &run).await.unwrap();
        let mut tx = self.syncer.pool.begin().await.unwrap();
        let outcome = Perform::<J>::record(&self.syncer, &mut tx, run, walked).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(outcome, Outcome::Done);
    }

    /// Carries out a command as the loop does.
    pub async fn execute<C: Command>(&self, command: C) -> Result<C::Reply, u16>
    where
        Syncer: Execute<C>,
    {
        let mut tx = self.syncer.pool.begin().await.unwrap();
        let reply = self.syncer.execute(&mut tx, command).await;
        if reply.is_ok() {
            tx.commit().await.unwrap();
        }
        reply.map_err(status)
    }

    /// Answers a query as the loop does.
    pub async fn answer<Q: Query>(&self, query: Q) -> Result<Q::Reply, u16>
    where
        Syncer: Answer<Q>,
    {
        let mut tx = ScopedTx::begin(&self.syncer.pool, Service::Syncer, query.scope()).await.unwrap();
        self.syncer.answer(&mut tx, query).await.map_err(status)
    }

    pub async fn superuser(&self) -> PgConnection {
        self.world.superuser(Service::Syncer).await
    }

    /// The inventory, a line per resource.
    pub async fn shown(&self) -> String {
        let rows = sqlx::query!(
            r#"select r.kind, r.name, r.status, r.stale_strike_count, r.version, p.name as "project?", r.tenant_id
               from syncer.cloud_resources r left join syncer.cloud_projects p on p.id = r.cloud_project_id
               order by r.kind, r.name, r.provider_id"#
        )
        .fetch_all(&mut self.superuser().await)
        .await
        .unwrap();
        let lines = rows.into_iter().map(|row| {
            let strikes = "!".repeat(usize::try_from(row.stale_strike_count).unwrap());
            let home = row.project.unwrap_or("-".to_owned());
            let tenant = row.tenant_id.unwrap_or("-".to_owned());
            format!("{} {} {}{strikes} v{} {home} {tenant}", row.kind, row.name, row.status, row.version)
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// How many messages of each type wait in the outbox, and forgets them.
    pub async fn told(&self) -> String {
        let rows = sqlx::query!(r#"delete from syncer.outbox returning headers->>'ce-type' as "type!""#)
            .fetch_all(&mut self.superuser().await)
            .await
            .unwrap();
        let mut counts = BTreeMap::<String, usize>::new();
        for row in rows {
            *counts.entry(row.r#type.replace("evt.syncer.", "").replace(".v1", "")).or_default() += 1;
        }
        counts.into_iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    }

    pub async fn status_of(&self, listing: Listing) -> ListingStatus {
        let mut tx = self.syncer.pool.acquire().await.unwrap();
        syncer::store::listing::status(&mut tx, listing).await.unwrap()
    }

    pub async fn resource_named(&self, name: &str) -> ResourceId {
        let id = sqlx::query_scalar!("select id from syncer.cloud_resources where name = $1", name)
            .fetch_one(&mut self.superuser().await)
            .await
            .unwrap();
        ResourceId::from_uuid(id)
    }

    pub async fn project_named(&self, name: &str) -> contracts::ids::ProjectId {
        let id = sqlx::query_scalar!("select id from syncer.cloud_projects where name = $1", name)
            .fetch_one(&mut self.superuser().await)
            .await
            .unwrap();
        contracts::ids::ProjectId::from_uuid(id)
    }

    /// Removes a row at the provider.
    pub async fn remove(&self, kind: &str, id: &str) {
        self.provider.control("DELETE", &format!("/sim/{kind}/{id}"), None).await;
    }

    /// Changes a row at the provider.
    pub async fn change(&self, kind: &str, id: &str, fields: Value) {
        self.provider.control("PATCH", &format!("/sim/{kind}/{id}"), Some(&fields)).await;
    }

    /// Makes every call of an operation misbehave.
    pub async fn fault(&self, operation: &str, behaviour: Value) {
        self.provider.faults(&json!({ "operation": operation, "behaviour": behaviour })).await;
    }
}

pub fn operator() -> Actor {
    Actor { subject: "op-1".to_owned(), tenant_id: "platform-admin".parse().unwrap() }
}

fn received() -> Received {
    Received {
        subject: String::new(),
        headers: BTreeMap::new(),
        body: Default::default(),
        key: String::new(),
        // A first projects sync has waited long enough, whatever else is on its first run.
        deliveries: 1_000,
        consumer: String::new(),
    }
}

fn status(refusal: Refusal) -> u16 {
    match refusal {
        Refusal::Problem(problem) => problem.status,
        Refusal::Failed(error) => panic!("{error}"),
    }
}
