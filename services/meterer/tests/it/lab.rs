//! A meterer whose events, jobs and clock the test drives by hand.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    Actor, Command, Job, Message, Query, Scope, Service, envelope,
    ids::{DeploymentId, ResourceId},
    meterer::{GetUsage, MeterDay, MeterDays, MeteredDay, UsageReport},
    syncer::{LastResource, ResourceKind, ResourceState},
};
use messaging::{Answer, Execute, Handle, Intended, Outcome, Perform, Received, Refusal, ScopedTx};
use meterer::{Meterer, clock::Clock};
use serde_json::json;
use sqlx::PgConnection;
use test_support::World;
use uuid::Uuid;

pub const OWNER: Service = Service::Meterer;

/// Says what it was told.
pub struct TestClock(Mutex<DateTime<Utc>>);

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

pub struct Lab {
    pub world: World,
    pub meterer: Meterer,
    clock: Arc<TestClock>,
}

impl Lab {
    /// A meterer that knows nothing, at a time.
    pub async fn start(now: &str) -> Self {
        let world = World::start().await;
        let clock = Arc::new(TestClock(Mutex::new(now.parse().unwrap())));
        let meterer = Meterer { clock: Arc::<TestClock>::clone(&clock), pool: world.pool(OWNER).await };
        Self { world, meterer, clock }
    }

    pub fn set_clock(&self, now: &str) {
        *self.clock.0.lock().unwrap() = now.parse().unwrap();
    }

    /// A resource's state is told, as syncer told it at a time.
    pub async fn told(&self, resource: ResourceState, at: &str) {
        let mut tx = self.meterer.pool.begin().await.unwrap();
        handle(&self.meterer, &mut tx, resource, at).await;
        tx.commit().await.unwrap();
    }

    /// Runs a job as the loop does.
    pub async fn run<J: Job + Default>(&self)
    where
        Meterer: Perform<J>,
    {
        let (job, received) = (J::default(), received(J::SUBJECT, ""));
        let mut tx = self.meterer.pool.begin().await.unwrap();
        let intended = self.meterer.intend(&mut tx, &job, &received).await.unwrap();
        tx.commit().await.unwrap();
        let Intended::Call(intent) = intended else { panic!("the job has something to do") };
        let answer = self.meterer.call(&intent).await.unwrap();
        let mut tx = self.meterer.pool.begin().await.unwrap();
        let outcome = self.meterer.record(&mut tx, intent, answer).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(outcome, Outcome::Done);
    }

    /// Meters what is complete at a time.
    pub async fn meter_at(&self, now: &str) {
        self.set_clock(now);
        self.run::<MeterDays>().await;
    }

    /// Carries out a command as the loop does; a refusal by status and field.
    pub async fn execute<C: Command>(&self, command: C) -> Result<C::Reply, String>
    where
        Meterer: Execute<C>,
    {
        let mut tx = self.meterer.pool.begin().await.unwrap();
        let reply = self.meterer.execute(&mut tx, command).await;
        if reply.is_ok() {
            tx.commit().await.unwrap();
        }
        reply.map_err(refused)
    }

    /// An operator meters a day.
    pub async fn meter(&self, day: &str) -> Result<MeteredDay, String> {
        self.execute(MeterDay { day: date(day), actor: operator() }).await
    }

    /// Answers a query as the loop does; a refusal by status and field.
    pub async fn answer<Q: Query>(&self, query: Q) -> Result<Q::Reply, String>
    where
        Meterer: Answer<Q>,
    {
        let mut tx = ScopedTx::begin(&self.meterer.pool, OWNER, query.scope()).await.unwrap();
        self.meterer.answer(&mut tx, query).await.map_err(refused)
    }

    /// What an operator sees of everyone's usage.
    pub async fn usage(&self, from: &str, to: &str) -> UsageReport {
        let query = GetUsage {
            scope: Scope::Operator,
            deployment_id: None,
            tenant_id: None,
            from: date(from),
            to: date(to),
        };
        self.answer(query).await.unwrap()
    }

    /// The same, metered kinds only: `kind qty, …`.
    pub async fn sums(&self, from: &str, to: &str) -> String {
        let kinds = self.usage(from, to).await.kinds;
        let kinds: Vec<String> =
            kinds.iter().map(|usage| format!("{} {}", usage.billing_kind, usage.qty)).collect();
        kinds.join(", ")
    }

    /// Every record, a line each.
    pub async fn records(&self) -> String {
        let rows = sqlx::query!(
            r#"select deployment_id, resource_id, resource_kind, billing_kind, granularity, tenant_id,
                      to_char(period_start at time zone 'UTC', 'MM-DD HH24') as "start!",
                      trim_scale(qty)::text as "qty!"
               from meterer.usage_records
               order by period_start, deployment_id, resource_id, billing_kind, granularity"#
        )
        .fetch_all(&self.meterer.pool)
        .await
        .unwrap();
        rows.into_iter()
            .map(|row| {
                let (deployment, resource) = (row.deployment_id.as_u128(), row.resource_id.as_u128());
                format!(
                    "{} {} {deployment} of {}: {} {resource} {} {}\n",
                    row.start, row.granularity, row.tenant_id, row.resource_kind, row.billing_kind, row.qty
                )
            })
            .collect()
    }

    /// How many records there are.
    pub async fn count(&self) -> i64 {
        let row = sqlx::query!(r#"select count(*) as "count!" from meterer.usage_records"#);
        row.fetch_one(&self.meterer.pool).await.unwrap().count
    }

    /// The last day metered with all before it.
    pub async fn metered_through(&self) -> Option<NaiveDate> {
        let row = sqlx::query!("select metered_through from meterer.metering_progress");
        row.fetch_one(&self.meterer.pool).await.unwrap().metered_through
    }

    /// The bodies of the messages of a subject in the outbox, which it forgets.
    pub async fn announced(&self, subject: &str) -> Vec<String> {
        let rows = sqlx::query!(
            r#"with gone as (delete from meterer.outbox where subject = $1 returning id, payload)
               select convert_from(payload, 'UTF8') as "body!" from gone order by id"#,
            subject,
        )
        .fetch_all(&mut self.world.superuser(OWNER).await)
        .await
        .unwrap();
        rows.into_iter().map(|row| row.body).collect()
    }
}

pub fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub fn operator() -> Actor {
    Actor { subject: "op-1".to_owned(), tenant_id: "platform-admin".parse().unwrap() }
}

/// Hands a state to a meterer's handler.
pub async fn handle(meterer: &Meterer, tx: &mut PgConnection, resource: ResourceState, at: &str) {
    let received = received(LastResource::SUBJECT, at);
    let handled = meterer.handle(tx, LastResource { resource }, &received).await.unwrap();
    assert_eq!(handled, Outcome::Done);
}

/// A message of a time; empty: of none.
pub fn received(subject: &str, at: &str) -> Received {
    let time = [(envelope::CE_TIME.to_owned(), at.to_owned())];
    Received {
        subject: subject.to_owned(),
        headers: BTreeMap::from(time).into_iter().filter(|(_, at)| !at.is_empty()).collect(),
        body: Vec::new().into(),
        key: Uuid::new_v4().to_string(),
        deliveries: 1,
        consumer: "test".to_owned(),
    }
}

/// A resource of the tenant acme's deployment 900, as it was found.
pub fn resource(number: u128, kind: ResourceKind, size: Option<&str>) -> ResourceState {
    ResourceState {
        id: ResourceId::from_uuid(Uuid::from_u128(number)),
        provider: "digitalocean".to_owned(),
        kind,
        provider_id: number.to_string(),
        name: format!("resource-{number}"),
        status: "active".to_owned(),
        region: Some("syd1".to_owned()),
        attrs: json!({ "size_gigabytes": size }).as_object().unwrap().clone(),
        cloud_project_id: None,
        tenant_id: Some("acme".parse().unwrap()),
        deployment_id: Some(deployment(900)),
        first_seen_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        deleted_at: None,
        version: 1,
    }
}

/// Its next state.
pub fn next(before: &ResourceState, change: impl FnOnce(&mut ResourceState)) -> ResourceState {
    let mut after = ResourceState { version: before.version + 1, ..before.clone() };
    change(&mut after);
    after
}

/// Its next state: deleted.
pub fn deleted(before: &ResourceState, at: &str) -> ResourceState {
    next(before, |resource| {
        resource.status = "deleted".to_owned();
        resource.deleted_at = Some(at.parse().unwrap());
    })
}

pub fn deployment(number: u128) -> DeploymentId {
    DeploymentId::from_uuid(Uuid::from_u128(number))
}

fn refused(refusal: Refusal) -> String {
    match refusal {
        Refusal::Problem(problem) => {
            let fields: Vec<&str> = problem.errors.iter().map(|error| error.field.as_str()).collect();
            format!("{} {}", problem.status, fields.join(" ")).trim_end().to_owned()
        }
        Refusal::Failed(error) => panic!("{error}"),
    }
}
