//! Databases, roles and schemas, on a real server.

use local::migrate::{Layout, Passwords, migrate};
use local::postgres::{Options, Postgres};
use sqlx::{Connection, Executor, PgConnection};

async fn server(dir: &tempfile::TempDir) -> Postgres {
    let options = Options { throwaway: true, durable: false, shared_buffers_mb: 16, ..Options::default() };
    Postgres::start(&dir.path().join("postgres"), options).await.unwrap()
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

/// Everything that a second migration could have changed.
async fn snapshot(connection: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(
        "select format('%s %s %s %s', nspname, relname, relkind, relacl) from pg_class
           join pg_namespace n on n.oid = relnamespace
          where nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
         union all
         select format('%s %s %s %s', rolname, rolcanlogin, rolinherit, rolconfig) from pg_roles
         union all
         select format('%s %s', version, installed_on) from syncer._sqlx_migrations
         order by 1",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&dir).await;
    let (url, passwords) = (server.superuser_url("postgres"), Passwords::random());
    migrate(&url, &Layout::default(), &passwords).await.unwrap();
    let mut admin = connect(&server.superuser_url("arcadia")).await;
    let first = snapshot(&mut admin).await;
    assert!(first.iter().any(|line| line.starts_with("syncer outbox r")), "{first:#?}");
    migrate(&url, &Layout::default(), &passwords).await.unwrap();
    assert_eq!(snapshot(&mut admin).await, first);
}

#[tokio::test]
async fn two_migrations_at_once_do_not_disturb_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&dir).await;
    let (url, passwords) = (server.superuser_url("postgres"), Passwords::same("p1"));
    let (one, two) =
        (Layout::Shared { database: "one".to_owned() }, Layout::Shared { database: "two".to_owned() });
    let (first, second) = tokio::join!(migrate(&url, &one, &passwords), migrate(&url, &two, &passwords));
    first.unwrap();
    second.unwrap();
}

#[tokio::test]
async fn a_login_role_is_bounded_owns_nothing_and_sees_only_its_own_schema() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&dir).await;
    migrate(&server.superuser_url("postgres"), &Layout::default(), &Passwords::same("p1")).await.unwrap();
    let mut syncer = connect(&server.url("syncer", "p1", "arcadia")).await;
    let settings: (String, String, String, String) = sqlx::query_as(
        "select current_setting('search_path'), current_setting('statement_timeout'),
                current_setting('idle_in_transaction_session_timeout'), current_setting('lock_timeout')",
    )
    .fetch_one(&mut syncer)
    .await
    .unwrap();
    let expected = ("syncer".into(), "30s".into(), "30s".into(), "5s".into());
    assert_eq!(settings, expected);

    syncer.execute("select count(*) from outbox").await.unwrap();
    for forbidden in [
        "create table public.mine (id int)",
        "create table syncer.mine (id int)",
        "create schema mine",
        "create temporary table mine (id int)",
        "set role biller_tenant",
        "set role syncer_owner",
        "select count(*) from biller._sqlx_migrations",
    ] {
        let refused = syncer.execute(forbidden).await;
        let code = refused.unwrap_err().as_database_error().and_then(|e| e.code().map(|c| c.into_owned()));
        assert_eq!(code.as_deref(), Some("42501"), "{forbidden}");
    }
    syncer.execute("set role syncer_tenant").await.unwrap();
}

#[tokio::test]
async fn every_service_can_have_a_database_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&dir).await;
    let layout = Layout::PerService { prefix: "arc".to_owned() };
    migrate(&server.superuser_url("postgres"), &layout, &Passwords::same("p1")).await.unwrap();
    let mut syncer = connect(&server.url("syncer", "p1", "arc_syncer")).await;
    syncer.execute("select count(*) from outbox").await.unwrap();
    let closed = PgConnection::connect(&server.url("syncer", "p1", "arc_saga_orchestrator")).await;
    assert!(closed.is_err());
    connect(&server.url("saga_orchestrator", "p1", "arc_saga_orchestrator")).await;
}
