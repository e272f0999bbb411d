//! Runs a service: its endpoints, its consumers, its outbox, its housekeeping, until it is told to stop.

use std::{sync::Arc, time::Duration};

use contracts::permissions;
use serde::Deserialize;
use sqlx::{PgPool, postgres::PgConnectOptions};
use telemetry::operations::Readiness;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    connection::Nats,
    consume,
    follow::Follower,
    housekeeping, publisher, serve,
    subscriptions::{Context, Subscriptions},
};

/// What a service runs on.
pub struct RuntimeSettings {
    /// For the connections that are no pool's: the publisher's session and its listener.
    pub database: PgConnectOptions,
    /// For handlers.
    pub pool: PgPool,
    /// The connection to NATS.
    pub nats: Nats,
    /// The connection in the account that keeps the streams which are followed; `None` when none is.
    pub followed: Option<Nats>,
    /// Gets the checks `nats` and `database`.
    pub readiness: Readiness,
}

/// How long what was begun may take to finish after shutdown was asked for.
const DRAIN: Duration = Duration::from_secs(10);
/// How long the servers may take to let us go.
const GOODBYE: Duration = Duration::from_secs(2);
/// How often the database is asked whether it is there.
const DATABASE_CHECK: Duration = Duration::from_secs(2);

/// Runs until `shutdown` and returns when everything that was begun is finished or its time is up.
pub async fn run<S: Send + Sync + 'static>(
    subscriptions: Subscriptions<S>,
    state: Arc<S>,
    settings: RuntimeSettings,
    shutdown: CancellationToken,
) {
    let RuntimeSettings { database, pool, nats, followed, readiness } = settings;
    let service = subscriptions.service;
    let tasks = TaskTracker::new();
    let connection = nats.clone();
    readiness.check("nats", move || connection.check());
    let database_state = watch_database(&tasks, pool.clone(), shutdown.clone());
    readiness.check("database", move || database_state.borrow().clone());

    let context = Context { service, state, pool: pool.clone(), subscriptions: Arc::new(subscriptions) };
    let mut core = Vec::new();
    for index in 0..context.subscriptions.deliveries.len() {
        core.push(tasks.spawn(consume::run(context.clone(), index, nats.clone(), shutdown.clone())));
    }
    if let Some(followed) = followed {
        let connection = followed.clone();
        readiness.check("nats of the streams that are followed", move || connection.check());
        for follows in &context.subscriptions.followed {
            core.push(tasks.spawn((follows.run)(Follower {
                service,
                state: Arc::clone(&context.state),
                stream: follows.stream,
                consumer: follows.consumer.clone(),
                database: database.clone(),
                nats: followed.clone(),
                shutdown: shutdown.clone(),
            })));
        }
        tasks.spawn(compare_permissions(followed, permissions::follower(service), shutdown.clone()));
    }
    tasks.spawn(serve::run(context, nats.clone(), tasks.clone(), shutdown.clone()));
    core.push(tasks.spawn(publisher::run(service, database, nats.clone(), shutdown.clone())));
    let stopping = shutdown.clone();
    readiness.check("tasks", move || {
        let alive = stopping.is_cancelled() || core.iter().all(|task| !task.is_finished());
        if alive { Ok(()) } else { Err("a consumer or the publisher has ended".to_owned()) }
    });
    tasks.spawn(housekeeping::run(pool.clone(), shutdown.clone()));
    tasks.spawn(compare_permissions(nats.clone(), permissions::user(service), shutdown.clone()));

    shutdown.cancelled().await;
    readiness.drain();
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        warn!("some work did not finish in time; it will be done again");
    }
    // Neither may keep a process alive whose server is gone.
    let goodbye = async {
        nats.flush().await;
        pool.close().await;
    };
    if tokio::time::timeout(GOODBYE, goodbye).await.is_err() {
        warn!("a server did not take our goodbye");
    }
    info!(service = service.name(), "stopped");
}

fn watch_database(
    tasks: &TaskTracker,
    pool: PgPool,
    shutdown: CancellationToken,
) -> tokio::sync::watch::Receiver<Result<(), String>> {
    let (sender, receiver) = tokio::sync::watch::channel(Err("not asked yet".to_owned()));
    tasks.spawn(async move {
        while !shutdown.is_cancelled() {
            let asked = tokio::time::timeout(DATABASE_CHECK, role_is_harmless(&pool)).await;
            let answer = match asked {
                Ok(Ok(true)) => Ok(()),
                Ok(Ok(false)) => {
                    Err("our role is above row-level security: superuser, bypassrls or owner".to_owned())
                }
                Ok(Err(_)) | Err(_) => Err("does not answer".to_owned()),
            };
            drop(sender.send_replace(answer));
            if let Ok(Ok(seconds)) = tokio::time::timeout(DATABASE_CHECK, oldest_unpublished(&pool)).await {
                metrics::gauge!("outbox_oldest_unpublished_seconds").set(seconds);
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(DATABASE_CHECK) => {}
            }
        }
    });
    receiver
}

/// How long the first message of the outbox has waited, in whole seconds; 0 when none waits. Alert above 30.
async fn oldest_unpublished(pool: &PgPool) -> Result<u32, sqlx::Error> {
    let seconds = sqlx::query_scalar!(
        r#"select coalesce(extract(epoch from now() - (
             select created_at from outbox where id = (select min(id) from outbox_unpublished)))::bigint, 0) as "seconds!""#,
    )
    .fetch_one(pool)
    .await?;
    Ok(u32::try_from(seconds).unwrap_or_default())
}

/// Row-level security binds neither superusers nor, unless forced, owners: with such a role the service is not
/// ready.
async fn role_is_harmless(pool: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select not (r.rolsuper or r.rolbypassrls
                       or exists (select from pg_class c where c.relowner = r.oid and c.relkind in ('r', 'p')))
                  as "harmless!"
           from pg_roles r where r.rolname = current_user"#,
    )
    .fetch_one(pool)
    .await
}

#[derive(Deserialize)]
struct UserInfo {
    data: UserInfoData,
}

#[derive(Deserialize)]
struct UserInfoData {
    permissions: Option<Permissions>,
}

#[derive(Deserialize)]
struct Permissions {
    publish: Option<Allowed>,
    subscribe: Option<Allowed>,
}

#[derive(Deserialize)]
struct Allowed {
    #[serde(default)]
    allow: Vec<String>,
}

/// Asks the server what we may do and compares it with what we need. A denied subject looks like a timeout
/// when it is used, so it is found out here, once, at start.
pub async fn compare_permissions(nats: Nats, expected: permissions::User, shutdown: CancellationToken) {
    let info = loop {
        if let Ok(answer) = nats.client.request(permissions::USER_INFO, "".into()).await {
            break answer;
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    };
    let actual = match serde_json::from_slice::<UserInfo>(&info.payload) {
        Ok(info) => info.data.permissions,
        Err(error) => return nats.deny(format!("could not read our nats permissions: {error}")),
    };
    // A user without a list may do everything: an administrator's, in development.
    let Some(actual) = actual else { return };
    let missing = |allowed: Option<Allowed>, needed: Vec<String>| {
        let allowed = allowed.map(|list| list.allow).unwrap_or_default();
        needed.into_iter().find(|subject| !allowed.contains(subject))
    };
    let publish = missing(actual.publish, expected.publish).map(|subject| format!("publish {subject}"));
    let subscribe =
        missing(actual.subscribe, expected.subscribe).map(|subject| format!("subscribe to {subject}"));
    if let Some(lack) = publish.or(subscribe) {
        nats.deny(format!("nats does not let {} {lack}; is nats/users.conf current?", expected.name));
    }
}
