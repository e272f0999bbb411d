//! A Postgres and a nats-server with everything a service finds at its start.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use contracts::{Service, permissions};
use local::{
    migrate::{self, Layout},
    nats::{self, NatsServer},
    postgres::{self, Postgres},
    sources,
};
use messaging::{Nats, Settings, provision};
use nix::sys::signal::Signal;
use sqlx::{
    ConnectOptions, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::{programs::Program, tokens, waiting::eventually};

/// Roles belong to the whole server, so the worlds that share one agree on a password.
const ROLE_PASSWORD: &str = "test";

enum Database {
    /// The server that this test binary's worlds share, each with a database of its own.
    Shared(&'static Postgres),
    /// A server of this world's own, for tests that kill it.
    Own(Box<Postgres>),
}

/// The servers of one test.
pub struct World {
    database: Database,
    layout: Layout,
    /// The broker.
    pub nats: NatsServer,
    folder: TempDir,
}

static SHARED: OnceCell<Postgres> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(1);

async fn postgres(folder: &Path) -> Postgres {
    postgres_with(folder, postgres::Options::default()).await
}

async fn postgres_with(folder: &Path, options: postgres::Options) -> Postgres {
    let options = postgres::Options { throwaway: true, ..options };
    Postgres::start(folder, options).await.expect("postgres starts")
}

/// A new folder that outlives the server in it, which ends with this process. What processes before this one left is
/// removed: a server takes 50 MB, and nobody runs at the end of a test binary.
fn own_folder() -> PathBuf {
    let all = std::env::temp_dir().join("arcadia-tests");
    fs::create_dir_all(&all).expect("a temporary folder");
    for left in fs::read_dir(&all).into_iter().flatten().flatten() {
        let name = left.file_name();
        let process = name.to_str().and_then(|name| name.split('.').next()).unwrap_or_default();
        if !Path::new("/proc").join(process).exists() {
            // Another test binary may be removing it too.
            fs::remove_dir_all(left.path()).ok();
        }
    }
    let folder = all.join(format!("{}.{}", std::process::id(), Uuid::new_v4().simple()));
    fs::create_dir(&folder).expect("a name that nobody has");
    folder
}

async fn shared() -> &'static Postgres {
    SHARED.get_or_init(|| async { postgres(&own_folder()).await }).await
}

impl World {
    /// A world with a database of its own on the test binary's Postgres, and a nats-server of its own.
    pub async fn start() -> Self {
        let shared = shared().await;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let layout = Layout::Shared { database: format!("world_{number}") };
        Self::build(Database::Shared(shared), layout).await
    }

    /// A world with a Postgres of its own, for tests that kill it.
    pub async fn start_alone() -> Self {
        let folder = own_folder();
        let own = Box::new(postgres(&folder).await);
        Self::build(Database::Own(own), Layout::default()).await
    }

    /// A world with a Postgres of its own and of these options, for what needs a larger one.
    pub async fn start_alone_with(options: postgres::Options) -> Self {
        let own = Box::new(postgres_with(&own_folder(), options).await);
        Self::build(Database::Own(own), Layout::default()).await
    }

    /// A world in which every service has a database of its own.
    pub async fn start_apart() -> Self {
        let folder = own_folder();
        let own = Box::new(postgres(&folder).await);
        Self::build(Database::Own(own), Layout::PerService { prefix: "apart".to_owned() }).await
    }

    async fn build(database: Database, layout: Layout) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = nats::Options::default();
        let nats = NatsServer::start(&folder.path().join("nats"), options).await.expect("nats-server starts");
        let world = Self { database, layout, nats, folder };
        let passwords = migrate::Passwords::same(ROLE_PASSWORD);
        migrate::migrate(&world.postgres().superuser_url("postgres"), &world.layout, &passwords)
            .await
            .expect("migrations run");
        world.provision().await;
        world
    }

    fn postgres(&self) -> &Postgres {
        match &self.database {
            Database::Shared(postgres) => postgres,
            Database::Own(postgres) => postgres,
        }
    }

    /// The Postgres of a world that has its own.
    pub fn own_postgres(&mut self) -> &mut Postgres {
        match &mut self.database {
            Database::Own(postgres) => postgres,
            Database::Shared(_) => panic!("other tests use this Postgres too: World::start_alone()"),
        }
    }

    /// A folder of this world's.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes streams and consumers, as the deploy job does, and no schedules: a test says itself when what is
    /// to happen.
    pub async fn provision(&self) -> provision::Applied {
        let folder = self.folder().join("nats-without-schedules");
        fs::create_dir_all(&folder).expect("our own folder");
        fs::copy(sources::nats_dir().join("streams.json"), folder.join("streams.json")).expect("a copy");
        fs::write(folder.join("schedules.json"), "{}").expect("our own folder");
        let usage = self.connect(permissions::LLM_GATEWAY_ADMIN).await;
        provision::apply(&usage, &folder).await.expect("nats/ can be applied");
        let admin = self.connect(permissions::ADMIN).await;
        provision::apply(&admin, &folder).await.expect("nats/ can be applied")
    }

    /// A connection to NATS as a user.
    pub async fn connect(&self, user: &str) -> Nats {
        let settings = Settings {
            url: self.nats.url(),
            user: user.to_owned(),
            password: self.nats.password(user).to_owned().into(),
        };
        Nats::connect(settings).await.expect("nats settings are good")
    }

    /// The URL by which a service reaches its schema.
    pub fn database_url(&self, service: Service) -> String {
        self.postgres().url(service.sql_name(), ROLE_PASSWORD, &self.layout.database(service))
    }

    /// The options of [`Self::database_url`].
    pub fn database(&self, service: Service) -> PgConnectOptions {
        self.database_url(service).parse().expect("our own URL")
    }

    /// A pool as a service has it.
    pub async fn pool(&self, service: Service) -> PgPool {
        PgPoolOptions::new()
            .max_connections(8)
            .connect_with(self.database(service))
            .await
            .expect("the service's role can log in")
    }

    /// A superuser's connection to the database of a service, with its schema as search path.
    pub async fn superuser(&self, service: Service) -> PgConnection {
        let url = self.postgres().superuser_url(&self.layout.database(service));
        let options: PgConnectOptions = url.parse().expect("our own URL");
        options
            .options([("search_path", service.sql_name())])
            .connect()
            .await
            .expect("the superuser can log in")
    }

    /// The environment of a service.
    pub fn environment(&self, service: Service) -> Vec<(&'static str, String)> {
        let user = service.name();
        let mut environment = vec![
            ("NATS_URL", self.nats.url()),
            ("NATS_USER", user.to_owned()),
            ("NATS_PASSWORD", self.nats.password(user).to_owned()),
            ("OPS_ADDR", "127.0.0.1:0".to_owned()),
            ("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned())),
        ];
        if service == Service::GatewayApi {
            environment.push(("JWT_SECRET", tokens::SECRET.to_owned()));
            environment.push(("HTTP_ADDR", "127.0.0.1:0".to_owned()));
        } else {
            environment.push(("DATABASE_URL", self.database_url(service)));
        }
        if service == Service::Meterer {
            environment.push(("USAGE_NATS_USER", permissions::METERER_USAGE.to_owned()));
            environment
                .push(("USAGE_NATS_PASSWORD", self.nats.password(permissions::METERER_USAGE).to_owned()));
        }
        environment
    }

    /// Starts a service.
    pub fn run(&self, service: Service, more: Vec<(&'static str, String)>) -> Program {
        let environment = self.environment(service).into_iter().chain(more);
        Program::start(service.name(), &[], environment)
    }

    /// Starts a gateway and waits until it listens; returns its URL.
    pub async fn run_gateway(&self) -> (Program, String) {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", socket.local_addr().expect("a bound socket has an address"));
        let program = self.run_gateway_on(&socket);
        eventually("the gateway answers", || async { reqwest::get(format!("{url}/api/health")).await }).await;
        (program, url)
    }

    /// Starts a gateway on a listening socket that somebody else holds.
    pub fn run_gateway_on(&self, socket: &std::net::TcpListener) -> Program {
        let environment =
            self.environment(Service::GatewayApi).into_iter().chain([("LISTEN_FD", "0".to_owned())]);
        let socket = std::os::fd::OwnedFd::from(socket.try_clone().expect("a socket can be cloned"));
        Program::start_prepared(Service::GatewayApi.name(), &[], environment, |command| {
            command.stdin(socket);
        })
    }
}

/// Ends a program the way an orchestrator does and waits for it.
pub async fn terminate(program: &Program) -> std::process::ExitStatus {
    program.process.stop(Signal::SIGTERM, std::time::Duration::from_secs(20)).await
}
