//! A service small enough to watch: it notes every resource state it is given.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use chrono::{DateTime, TimeZone, Utc};
use contracts::{
    Service,
    ids::ResourceId,
    permissions,
    syncer::{LastResource, ResourceKind, ResourceState, ResourceUpdated},
};
use messaging::{
    Handle, HandlerError, Nats, Outcome, Received, Settings, Subscriptions,
    outbox::{self, Draft},
    runtime::{self, RuntimeSettings},
};
use sqlx::PgConnection;
use test_support::World;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Notes in a table what it is told, so that what is rolled back was not told.
#[derive(Default)]
pub struct Notes {
    pub failures_left: AtomicU32,
}

impl Handle<LastResource> for Notes {
    async fn handle(
        &self,
        tx: &mut PgConnection,
        message: LastResource,
        _received: &Received,
    ) -> Result<Outcome, HandlerError> {
        let ResourceState { name, version, .. } = message.resource;
        if name == "refused" {
            return Ok(Outcome::Park("nobody wants it".to_owned()));
        }
        assert_ne!(name, "panics", "asked to panic");
        if self.failures_left.load(Ordering::SeqCst) > 0 {
            self.failures_left.fetch_sub(1, Ordering::SeqCst);
            return Err(std::io::Error::other("asked to fail").into());
        }
        sqlx::query("insert into notes (name, version) values ($1, $2)")
            .bind(name)
            .bind(version)
            .execute(tx)
            .await?;
        Ok(Outcome::Done)
    }
}

pub fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 24, 12, 0, 0).unwrap()
}

pub fn resource(id: Uuid, name: &str, version: i64) -> ResourceUpdated {
    ResourceUpdated {
        resource: ResourceState {
            id: ResourceId::from_uuid(id),
            provider: "digitalocean".to_owned(),
            kind: ResourceKind::Droplet,
            provider_id: "1".to_owned(),
            name: name.to_owned(),
            status: "active".to_owned(),
            region: None,
            attrs: serde_json::Map::new(),
            cloud_project_id: None,
            tenant_id: None,
            deployment_id: None,
            first_seen_at: now(),
            deleted_at: None,
            version,
        },
        changes: Vec::new(),
    }
}

/// Commits one event per name as syncer would.
pub async fn announce(tx: &mut PgConnection, id: Uuid, name: &str, versions: std::ops::RangeInclusive<i64>) {
    let drafts: Vec<Draft> = versions
        .map(|version| Draft::event(Service::Syncer, &resource(id, name, version), now()).unwrap())
        .collect();
    outbox::add(tx, &drafts).await.unwrap();
}

/// A service of meterer's rights that notes what it is told.
pub async fn run_notes(world: &World, notes: Arc<Notes>) -> Running {
    let mut superuser = world.superuser(Service::Meterer).await;
    sqlx::raw_sql(
        "create table notes (place bigint generated always as identity, name text, version bigint);
         grant insert on notes to meterer",
    )
    .execute(&mut superuser)
    .await
    .unwrap();
    let subscriptions = Subscriptions::new(Service::Meterer).state::<LastResource>();
    run(world, Service::Meterer, subscriptions, notes).await
}

/// What the noting service was told, in order: name and version.
pub async fn seen(world: &World) -> Vec<(String, i64)> {
    let mut superuser = world.superuser(Service::Meterer).await;
    sqlx::query_as("select name, version from notes order by place").fetch_all(&mut superuser).await.unwrap()
}

/// What it was told, once it was told so much.
pub async fn seen_at_least(world: &World, count: usize) -> Result<Vec<(String, i64)>, String> {
    let seen = seen(world).await;
    if seen.len() >= count { Ok(seen) } else { Err(format!("{} of {count}", seen.len())) }
}

/// Syncer's outbox and nothing else.
pub async fn run_publisher(world: &World) -> Running {
    run(world, Service::Syncer, Subscriptions::<()>::new(Service::Syncer), Arc::new(())).await
}

/// A running service; stopped by [`Running::stop`].
pub struct Running {
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Stops it in order.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }

    /// Ends it in the middle of whatever it does.
    pub fn abort(self) {
        self.task.abort();
    }
}

pub async fn run<S: Send + Sync + 'static>(
    world: &World,
    service: Service,
    subscriptions: Subscriptions<S>,
    state: Arc<S>,
) -> Running {
    run_over(world, service, subscriptions, state, world.nats.url()).await
}

/// The same, with followed streams read from the server at `url`.
pub async fn run_over<S: Send + Sync + 'static>(
    world: &World,
    service: Service,
    subscriptions: Subscriptions<S>,
    state: Arc<S>,
    url: String,
) -> Running {
    let shutdown = CancellationToken::new();
    let settings = RuntimeSettings {
        database: world.database(service),
        pool: world.pool(service).await,
        nats: world.connect(service.name()).await,
        followed: match service {
            Service::Meterer => {
                let user = permissions::METERER_USAGE.to_owned();
                let password = world.nats.password(&user).to_owned().into();
                Some(Nats::connect(Settings { url, user, password }).await.unwrap())
            }
            _ => None,
        },
        readiness: telemetry::operations::Readiness::new(),
    };
    let task = tokio::spawn(runtime::run(subscriptions, state, settings, shutdown.clone()));
    Running { shutdown, task }
}
