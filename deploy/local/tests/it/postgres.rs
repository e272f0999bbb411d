//! A Postgres server through its life: clean stop, crash, restart, a later start on the same data.

use local::postgres::{Options, Postgres, Shutdown};
use sqlx::{Connection, PgConnection};
use std::path::Path;

async fn connect(server: &Postgres) -> PgConnection {
    PgConnection::connect(&server.superuser_url("postgres")).await.unwrap()
}

async fn count(server: &Postgres) -> i64 {
    let mut connection = connect(server).await;
    sqlx::query_scalar("select count(*) from committed").fetch_one(&mut connection).await.unwrap()
}

async fn insert(server: &Postgres) {
    let mut connection = connect(server).await;
    sqlx::query("insert into committed default values").execute(&mut connection).await.unwrap();
}

async fn start(dir: &Path) -> Postgres {
    Postgres::start(dir, Options { shared_buffers_mb: 16, ..Options::default() }).await.unwrap()
}

#[tokio::test]
async fn what_was_committed_survives_stop_kill_and_a_later_start() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("postgres");
    let mut server = start(&dir).await;
    let mut connection = connect(&server).await;
    sqlx::query("create table committed (id bigint generated always as identity)")
        .execute(&mut connection)
        .await
        .unwrap();
    insert(&server).await;

    let (port, pid) = (server.port(), server.pid().unwrap());
    // The open connection must not keep it from stopping.
    server.stop(Shutdown::Fast).await;
    assert_eq!(server.pid(), None);
    assert!(!local::process::is_alive(pid), "it is reaped");
    server.restart().await.unwrap();
    assert_eq!(server.port(), port);
    assert_eq!(count(&server).await, 1);

    insert(&server).await;
    let _open_session = connect(&server).await;
    server.kill().await;
    server.restart().await.unwrap();
    assert_eq!((server.port(), count(&server).await), (port, 2));

    server.stop(Shutdown::Immediate).await;
    drop(server);
    let server = start(&dir).await;
    assert_eq!(count(&server).await, 2);
    drop(server);
    local::postgres::remove(&dir).unwrap();
}

#[tokio::test]
async fn a_throwaway_server_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { throwaway: true, durable: false, shared_buffers_mb: 16, ..Options::default() };
    let server = Postgres::start(&dir.path().join("postgres"), options).await.unwrap();
    let sockets = server.socket_dir().to_owned();
    assert!(sockets.join(format!(".s.PGSQL.{}", server.port())).exists());
    let durable: String =
        sqlx::query_scalar("show fsync").fetch_one(&mut connect(&server).await).await.unwrap();
    assert_eq!(durable, "off");
    let pid = server.pid().unwrap();
    drop(server);
    assert!(!local::process::is_alive(pid));
    assert!(!sockets.exists());
    assert!(!dir.path().join("postgres").exists());
}

#[tokio::test]
async fn the_server_does_not_let_anybody_in_without_a_password() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { throwaway: true, durable: false, shared_buffers_mb: 16, ..Options::default() };
    let server = Postgres::start(&dir.path().join("postgres"), options).await.unwrap();
    let refused = PgConnection::connect(&server.url("postgres", "guess", "postgres")).await;
    assert!(refused.is_err());
}
