//! Makes databases, roles and schemas, and runs every service's migrations. Services never do this themselves.
//!
//! Per service: `<svc>_owner` owns schema and tables and cannot log in; `<svc>` logs in, owns nothing and inherits
//! nothing; `<svc>_tenant` is what `<svc>` becomes for a tenant's reads. Which tables each may touch is granted by the
//! migrations.

use crate::sources;
use contracts::Service;
use sqlx::migrate::{MigrateError as SqlxMigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use uuid::Uuid;

/// Two of us must not make the same roles at once. Any number will do, if all of us use the same.
const LOCK: i64 = 4_005_001;

/// Why a database could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The administrator's URL cannot be read or used.
    #[error("connect to {database}")]
    Connect {
        /// The database.
        database: String,
        /// Why not.
        #[source]
        source: sqlx::Error,
    },
    /// A role, schema or database could not be made.
    #[error("prepare {what}")]
    Prepare {
        /// Which.
        what: String,
        /// Why not.
        #[source]
        source: sqlx::Error,
    },
    /// A service's migrations cannot be read.
    #[error("read the migrations in {folder}")]
    Read {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: SqlxMigrateError,
    },
    /// A service's migrations failed.
    #[error("migrate {service}")]
    Run {
        /// Whose.
        service: &'static str,
        /// Why.
        #[source]
        source: SqlxMigrateError,
    },
}

/// How the services are spread over databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// One database, a schema per service.
    Shared {
        /// Its name.
        database: String,
    },
    /// A database per service, named `<prefix>_<service>`: what the design promises must always be possible.
    PerService {
        /// What their names begin with.
        prefix: String,
    },
}

impl Default for Layout {
    fn default() -> Self {
        Layout::Shared { database: "arcadia".to_owned() }
    }
}

impl Layout {
    /// The database of a service.
    pub fn database(&self, service: Service) -> String {
        match self {
            Layout::Shared { database } => database.clone(),
            Layout::PerService { prefix } => format!("{prefix}_{}", service.sql_name()),
        }
    }
}

/// The password of every service's login role, by the service's name.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Passwords(BTreeMap<String, String>);

impl Passwords {
    /// A new one for every service with a database.
    pub fn random() -> Passwords {
        let mut passwords = Passwords(BTreeMap::new());
        passwords.complete();
        passwords
    }

    /// The same for every service: roles belong to the whole server, so tests that share one must agree.
    pub fn same(password: &str) -> Passwords {
        Passwords(Service::OWNERS.iter().map(|s| (s.name().to_owned(), password.to_owned())).collect())
    }

    /// Adds one for every service that has none yet.
    pub fn complete(&mut self) {
        for service in Service::OWNERS {
            self.0
                .entry(service.name().to_owned())
                .or_insert_with(|| format!("p{}", Uuid::new_v4().simple()));
        }
    }

    /// The password of a service that has a database.
    pub fn of(&self, service: Service) -> &str {
        self.0.get(service.name()).unwrap_or_else(|| panic!("{} has no database", service.name()))
    }
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// Makes every service's database, roles and schema and brings its tables up to date. Doing it again changes nothing.
///
/// `superuser_url` names any database of the server; the role in it must be allowed to make roles and databases.
pub async fn migrate(
    superuser_url: &str,
    layout: &Layout,
    passwords: &Passwords,
) -> Result<(), MigrateError> {
    let server = Server::parse(superuser_url)?;
    let mut admin = server.connect("postgres").await?;
    admin
        .execute(AssertSqlSafe(format!("select pg_advisory_lock({LOCK})")))
        .await
        .map_err(preparing("the lock"))?;
    for service in Service::OWNERS {
        make_database(&mut admin, &layout.database(service)).await?;
        make_roles(&mut admin, service, passwords.of(service)).await?;
    }
    for service in Service::OWNERS {
        let database = layout.database(service);
        let mut connection = server.connect(&database).await?;
        make_schema(&mut connection, &database, service).await?;
        run(&mut connection, service).await?;
        close(connection, &database).await?;
    }
    // Closing the session releases the lock.
    close(admin, "postgres").await
}

struct Server(PgConnectOptions);

impl Server {
    fn parse(url: &str) -> Result<Server, MigrateError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|source| MigrateError::Connect { database: "the server".to_owned(), source })?;
        Ok(Server(options))
    }

    async fn connect(&self, database: &str) -> Result<PgConnection, MigrateError> {
        let connected = self.0.clone().database(database).connect().await;
        connected.map_err(|source| MigrateError::Connect { database: database.to_owned(), source })
    }
}

async fn close(connection: PgConnection, database: &str) -> Result<(), MigrateError> {
    connection.close().await.map_err(|source| MigrateError::Connect { database: database.to_owned(), source })
}

fn preparing(what: impl Into<String>) -> impl FnOnce(sqlx::Error) -> MigrateError {
    let what = what.into();
    move |source| MigrateError::Prepare { what, source }
}

/// An identifier that is safe in SQL whatever it holds.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text that is safe in SQL whatever it holds, backslashes included.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

async fn make_database(admin: &mut PgConnection, name: &str) -> Result<(), MigrateError> {
    let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(name)
        .fetch_one(&mut *admin)
        .await
        .map_err(preparing(name))?;
    let database = quoted(name);
    if !exists {
        admin.execute(AssertSqlSafe(format!("create database {database}"))).await.map_err(preparing(name))?;
    }
    admin
        .execute(AssertSqlSafe(format!("revoke all on database {database} from public")))
        .await
        .map_err(preparing(name))?;
    Ok(())
}

async fn make_roles(admin: &mut PgConnection, service: Service, password: &str) -> Result<(), MigrateError> {
    let login = service.sql_name();
    let (owner, tenant) = (format!("{login}_owner"), format!("{login}_tenant"));
    let mut sql = String::new();
    for role in [login, &owner, &tenant] {
        sql.push_str(&format!(
            "do $$ begin
               if not exists (select from pg_roles where rolname = {name}) then create role {role}; end if;
             end $$;\n",
            name = literal(role),
            role = quoted(role),
        ));
    }
    let (login, owner, tenant) = (quoted(login), quoted(&owner), quoted(&tenant));
    let password = literal(password);
    // NOINHERIT: the policies of the tenant role must not apply to the login role before it has become that role.
    sql.push_str(&format!(
        "alter role {owner} nologin;
         alter role {tenant} nologin;
         alter role {login} login noinherit password {password};
         alter role {login} set search_path = {login};
         alter role {login} set statement_timeout = '30s';
         alter role {login} set idle_in_transaction_session_timeout = '30s';
         alter role {login} set lock_timeout = '5s';
         grant {tenant} to {login};"
    ));
    admin.execute(AssertSqlSafe(sql)).await.map_err(preparing(format!("the roles of {}", service.name())))?;
    Ok(())
}

async fn make_schema(
    connection: &mut PgConnection,
    database: &str,
    service: Service,
) -> Result<(), MigrateError> {
    let login = quoted(service.sql_name());
    let (owner, tenant) =
        (quoted(&format!("{}_owner", service.sql_name())), quoted(&format!("{}_tenant", service.sql_name())));
    let database = quoted(database);
    let sql = format!(
        "grant connect on database {database} to {login};
         revoke all on schema public from public;
         create schema if not exists {login} authorization {owner};
         revoke all on schema {login} from public;
         grant usage on schema {login} to {login}, {tenant};"
    );
    connection
        .execute(AssertSqlSafe(sql))
        .await
        .map_err(preparing(format!("the schema of {}", service.name())))?;
    Ok(())
}

/// Runs as the owner, so that the owner owns what is made, and no migration can touch another service's schema.
async fn run(connection: &mut PgConnection, service: Service) -> Result<(), MigrateError> {
    let migrator = migrator(service).await?;
    let schema = service.sql_name();
    connection
        .execute(AssertSqlSafe(format!(
            "set role {owner}; set search_path = {schema}; set client_min_messages = warning;",
            owner = quoted(&format!("{schema}_owner")),
            schema = quoted(schema),
        )))
        .await
        .map_err(preparing(format!("the migrations of {}", service.name())))?;
    migrator
        .run_direct(None, connection, false)
        .await
        .map_err(|source| MigrateError::Run { service: service.name(), source })
}

/// Read from the checkout at run time: an embedded copy would miss a new file until this crate is compiled again.
async fn migrator(service: Service) -> Result<Migrator, MigrateError> {
    let folder = sources::migrations_dir().join(service.name());
    // A service that has no tables yet has no folder.
    if !folder.is_dir() {
        return Ok(Migrator::with_migrations(Vec::new()));
    }
    Migrator::new(folder.as_path()).await.map_err(|source| MigrateError::Read { folder, source })
}
