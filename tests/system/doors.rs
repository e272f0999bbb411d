//! What each service's users can and cannot do, in Postgres and on NATS.

use std::time::Duration;

use async_nats::{ConnectOptions, Event};
use contracts::{Service, permissions};
use expect_test::expect_file;
use futures::StreamExt;
use sqlx::{ConnectOptions as _, Connection, Row};
use test_support::World;
use tokio::sync::mpsc;

/// A raw connection as one user, and the refusals the server reports.
async fn connect(world: &World, user: &str) -> (async_nats::Client, mpsc::UnboundedReceiver<String>) {
    let (sender, refusals) = mpsc::unbounded_channel();
    let client = ConnectOptions::new()
        .user_and_password(user.to_owned(), world.nats.password(user).to_owned())
        .custom_inbox_prefix(permissions::inbox_prefix(user))
        .event_callback(move |event| {
            if let Event::ServerError(error) = event {
                sender.send(error.to_string()).ok();
            }
            std::future::ready(())
        })
        .connect(world.nats.url())
        .await
        .unwrap();
    (client, refusals)
}

async fn refused(refusals: &mut mpsc::UnboundedReceiver<String>, what: &str) {
    let refusal = tokio::time::timeout(Duration::from_secs(5), refusals.recv()).await;
    let refusal = refusal.unwrap_or_else(|_| panic!("{what} was not refused")).unwrap();
    assert!(refusal.to_lowercase().contains("permissions violation"), "{what}: {refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn syncer_can_neither_read_anothers_inbox_or_stream_nor_publish_usage() {
    let world = World::start().await;
    let (syncer, mut refusals) = connect(&world, "syncer").await;

    for inbox in ["_INBOX_biller.>", "_INBOX_gateway-api.>", "_INBOX.>", ">", "evt.biller.>", "$JS.EVENT.>"] {
        let _subscription = syncer.subscribe(inbox).await.unwrap();
        refused(&mut refusals, &format!("subscribing to {inbox}")).await;
    }
    for subject in [
        "evt.llm-gateway.usage.recorded.v1.acme",
        "evt.biller.invoice.issued.v1.x",
        "parked.meterer.message.parked.v1",
        "qry.syncer.resource.list.v1",
        "cmd.biller.parked.dismiss.v1",
        "job.biller.rollup.run.v1",
        "schedule.sync-droplets",
        "_INBOX_biller.x",
        "$JS.API.STREAM.INFO.USAGE",
        "$JS.API.STREAM.MSG.GET.EVENTS",
        "$JS.API.STREAM.PURGE.EVENTS",
        "$JS.API.STREAM.DELETE.EVENTS",
        "$JS.API.CONSUMER.CREATE.EVENTS.mine",
        "$JS.API.CONSUMER.INFO.RESOURCES.meterer-resource-last",
        "$JS.API.CONSUMER.MSG.NEXT.RESOURCES.meterer-resource-last",
    ] {
        syncer.publish(subject, "{}".into()).await.unwrap();
        syncer.flush().await.unwrap();
        refused(&mut refusals, &format!("publishing {subject}")).await;
    }

    let (usage, mut unexpected) = connect(&world, "llm-gateway").await;
    let stored = usage.request("evt.llm-gateway.usage.recorded.v1.acme", "{}".into()).await.unwrap();
    let stored: serde_json::Value = serde_json::from_slice(&stored.payload).unwrap();
    assert_eq!((stored["stream"].as_str(), stored["seq"].as_u64()), (Some("USAGE"), Some(1)), "{stored}");
    assert!(unexpected.try_recv().is_err());
    usage.publish("evt.syncer.resource.updated.v1.x", "{}".into()).await.unwrap();
    refused(&mut unexpected, "the LLM gateway publishing as syncer").await;
}

/// A permission does not check the reply subject, so whatever answers a user's request can be made to publish for
/// it: JetStream's acknowledgement of a publish, or the messages of a consumer. Usage must not be forged so.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_does_not_become_usage() {
    let world = World::start().await;
    let (syncer, _refusals) = connect(&world, "syncer").await;
    let usage = "evt.llm-gateway.usage.recorded.v1.acme";
    syncer.publish_with_reply("evt.syncer.listing.held.v1", usage, "{}".into()).await.unwrap();
    syncer.publish("job.syncer.volumes.sync.v1", "{\"charge\":\"1000.00\"}".into()).await.unwrap();
    let next = "$JS.API.CONSUMER.MSG.NEXT.JOBS.syncer-volumes-sync";
    syncer.publish_with_reply(next, usage, "{\"batch\":1,\"expires\":1000000000}".into()).await.unwrap();
    syncer.flush().await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (gateway, _refusals) = connect(&world, "llm-gateway").await;
    let stored = gateway.request(usage, "{}".into()).await.unwrap();
    let stored: serde_json::Value = serde_json::from_slice(&stored.payload).unwrap();
    assert_eq!(stored["seq"], 1, "something was stored before the LLM gateway's first message: {stored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_read_and_do_not_write() {
    let world = World::start().await;
    let (operator, mut refusals) = connect(&world, "operator").await;
    for subject in ["evt.syncer.resource.updated.v1.x", "cmd.syncer.listing.sync.v1", "$JS.API.STREAM.NAMES"]
    {
        operator.publish(subject, "{}".into()).await.unwrap();
        refused(&mut refusals, &format!("publishing {subject}")).await;
    }
    // Not even by way of a reply subject: the operators' account has no such subject to reach.
    let mut leak = connect(&world, "admin").await.0.subscribe("evt.syncer.>").await.unwrap();
    operator.publish_with_reply("$SRV.PING", "evt.syncer.resource.updated.v1.x", "".into()).await.unwrap();
    let leaked = tokio::time::timeout(Duration::from_millis(500), leak.next()).await;
    assert!(leaked.is_err(), "a reply became an event: {leaked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_schema_is_closed() {
    let world = World::start().await;
    for service in Service::OWNERS {
        let pool = world.pool(service).await;
        for other in Service::OWNERS.into_iter().filter(|other| *other != service) {
            let statement = format!("select count(*) from {}.outbox", other.sql_name());
            let error = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_one(&pool).await.unwrap_err();
            let code = error.as_database_error().and_then(|e| e.code()).unwrap_or_default().into_owned();
            assert_eq!(code, "42501", "{} reads {}: {error}", service.name(), other.name());
        }
        for statement in
            ["create table mine ()", "create schema mine", "truncate outbox", "set role postgres"]
        {
            assert!(sqlx::query(statement).execute(&pool).await.is_err(), "{}: {statement}", service.name());
        }
    }
    assert!(
        world.database(Service::Syncer).password("wrong").connect().await.is_err(),
        "a wrong password is refused"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_read_without_a_tenant_fails_and_with_one_sees_its_own() {
    let world = World::start().await;
    let mut superuser = world.superuser(Service::Syncer).await;
    for (id, tenant) in [(1, "acme"), (2, "acme"), (3, "globex")] {
        sqlx::query(
            "insert into cloud_projects (id, provider, provider_id, name, tenant_id, first_seen_at, last_seen_at)
             values (gen_random_uuid(), 'digitalocean', $1::int::text, 'p', $2, now(), now())",
        )
        .bind(id)
        .bind(tenant)
        .execute(&mut superuser)
        .await
        .unwrap();
    }
    let pool = world.pool(Service::Syncer).await;
    let count = async |tenant: Option<&str>| {
        let mut tx = pool.begin().await.unwrap();
        sqlx::query("set local role syncer_tenant").execute(&mut *tx).await.unwrap();
        if let Some(tenant) = tenant {
            sqlx::query("select set_config('app.tenant', $1, true)")
                .bind(tenant)
                .execute(&mut *tx)
                .await
                .unwrap();
        }
        let row = sqlx::query("select count(*) from syncer.cloud_projects").fetch_one(&mut *tx).await?;
        row.try_get::<i64, _>(0)
    };
    assert_eq!(count(Some("acme")).await.unwrap(), 2);
    assert_eq!(count(Some("globex")).await.unwrap(), 1);
    assert_eq!(count(Some("nobody")).await.unwrap(), 0);
    // Also on a connection that had a tenant a moment ago.
    for _ in 0..16 {
        let error = count(None).await.unwrap_err();
        assert!(error.to_string().contains("app.tenant is not set"), "{error}");
    }
}

/// Every role's rights on every table, and what row-level security is there: a new table without it is a line
/// in a diff.
#[tokio::test(flavor = "multi_thread")]
async fn privileges_are_as_committed() {
    let world = World::start().await;
    let mut connection = world.superuser(Service::Syncer).await;
    let tables = sqlx::query(
        "select n.nspname, c.relname, c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner),
                coalesce((select string_agg(format('%s to %s using %s', p.polname,
                            (select string_agg(r.rolname, ',' order by r.rolname) from pg_roles r where r.oid = any (p.polroles)),
                            pg_get_expr(p.polqual, p.polrelid)), '; ' order by p.polname)
                          from pg_policy p where p.polrelid = c.oid), '')
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = any ($1) and c.relkind in ('r', 'p', 'v')
         order by 1, 2",
    )
    .bind(Service::OWNERS.map(|service| service.sql_name().to_owned()).to_vec())
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut text = String::from(
        "# Who may do what in Postgres. UPDATE_EXPECT=1 cargo test -p arcadia-tests --test system privileges\n",
    );
    for table in tables {
        let (schema, name): (String, String) = (table.get(0), table.get(1));
        let (enabled, forced): (bool, bool) = (table.get(2), table.get(3));
        let (owner, policies): (String, String) = (table.get(4), table.get(5));
        let security = match (enabled, forced) {
            (true, true) => "forced",
            (true, false) => "not forced",
            (false, _) => "none",
        };
        text.push_str(&format!("\n{schema}.{name} (owner {owner}; row security {security})\n"));
        for policy in policies.split("; ").filter(|policy| !policy.is_empty()) {
            text.push_str(&format!("  policy {policy}\n"));
        }
        for service in Service::OWNERS {
            for role in [service.sql_name().to_owned(), format!("{}_tenant", service.sql_name())] {
                let rights = sqlx::query(
                    "select coalesce(string_agg(p, ', ' order by place), '')
                     from unnest(array['SELECT','INSERT','UPDATE','DELETE','TRUNCATE','REFERENCES','TRIGGER'])
                          with ordinality as privilege (p, place)
                     where has_table_privilege($1, format('%I.%I', $2::text, $3::text), p)
                        or (p in ('SELECT', 'INSERT', 'UPDATE')
                            and has_any_column_privilege($1, format('%I.%I', $2::text, $3::text), p))",
                )
                .bind(&role)
                .bind(&schema)
                .bind(&name)
                .fetch_one(&mut connection)
                .await
                .unwrap();
                let rights: String = rights.get(0);
                if !rights.is_empty() {
                    text.push_str(&format!("  {role}: {rights}\n"));
                }
            }
        }
    }
    expect_file!["../../migrations/PRIVILEGES.txt"].assert_eq(&text);
    connection.close().await.unwrap();
}
