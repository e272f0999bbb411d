//! A nats-server of our own: configured from the repository's files, started, stopped, killed, wiped, started again.

use crate::install::{InstallError, ensure_nats_server};
use crate::ports;
use crate::process::{self, Identity, Process};
use crate::sources;
use contracts::Service;
use contracts::permissions::{self, ADMIN, LLM_GATEWAY, LLM_GATEWAY_ADMIN, METERER_USAGE, OPERATOR};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

/// A store of some gigabytes takes seconds to recover.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How often a start is repeated when somebody took the port in the meantime.
const PORT_TRIES: u32 = 5;

/// Hand-written: limits, JetStream with every message synced before its acknowledgement.
const SERVER_CONF: &str = "server.conf";

/// Generated: accounts, users, permissions. The hand-written file includes it.
const USERS_CONF: &str = "users.conf";

/// Why nats-server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// The program is missing.
    #[error("find nats-server")]
    Install(#[from] InstallError),
    /// A file or folder of the server.
    #[error("use {path}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The server ended while starting.
    #[error("nats-server ended while starting ({status}); the end of {log}: {tail}")]
    Ended {
        /// How it ended.
        status: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines.
        tail: String,
    },
    /// The server did not become healthy in time.
    #[error("nats-server was not healthy within {seconds} s; see {log}")]
    NotReady {
        /// How long we waited.
        seconds: u64,
        /// Its log file.
        log: PathBuf,
    },
    /// Another server runs on the same data and does not go away.
    #[error("another nats-server (process {pid}) still runs on {dir}; run: kill {pid}")]
    InUse {
        /// That server.
        pid: i32,
        /// The folder.
        dir: PathBuf,
    },
}

fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> NatsError {
    let path = path.into();
    move |source| NatsError::Io { path, source }
}

/// The password of every NATS user, by the user's name.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Passwords(BTreeMap<String, String>);

impl Passwords {
    /// A new one for every user.
    pub fn random() -> Passwords {
        let mut passwords = Passwords(BTreeMap::new());
        passwords.complete();
        passwords
    }

    /// Adds one for every user that has none yet, as after an upgrade that brought a user.
    pub fn complete(&mut self) {
        for user in users() {
            self.0.entry(user.to_owned()).or_insert_with(random_password);
        }
    }

    /// The password of a user that exists.
    pub fn of(&self, user: &str) -> &str {
        self.0.get(user).unwrap_or_else(|| panic!("there is no NATS user {user}"))
    }
}

impl From<BTreeMap<String, String>> for Passwords {
    fn from(passwords: BTreeMap<String, String>) -> Self {
        Passwords(passwords)
    }
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// Every user that `users.conf` knows.
pub fn users() -> impl Iterator<Item = &'static str> {
    Service::ALL.into_iter().map(Service::name).chain([
        ADMIN,
        OPERATOR,
        LLM_GATEWAY_ADMIN,
        LLM_GATEWAY,
        METERER_USAGE,
    ])
}

/// A letter first: nats-server reads what a variable holds as a value of its own syntax, and digits make a number.
fn random_password() -> String {
    format!("p{}", Uuid::new_v4().simple())
}

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Of every user.
    pub passwords: Passwords,
    /// More configuration, in nats-server's syntax; it wins over the repository's files.
    pub extra: String,
}

impl Default for Options {
    fn default() -> Self {
        Options { passwords: Passwords::random(), extra: String::new() }
    }
}

/// A nats-server that we started. Dropped, it ends.
#[derive(Debug)]
pub struct NatsServer {
    bin: PathBuf,
    dir: PathBuf,
    options: Options,
    port: u16,
    monitor_port: u16,
    process: Option<Process>,
    client: reqwest::Client,
}

impl NatsServer {
    /// Starts a server with its files in this folder. Healthy when this returns.
    pub async fn start(dir: &Path, options: Options) -> Result<NatsServer, NatsError> {
        let bin =
            tokio::task::spawn_blocking(ensure_nats_server).await.expect("looking for it does not panic")?;
        fs::create_dir_all(dir).map_err(at(dir))?;
        let dir = dir.canonicalize().map_err(at(dir))?;
        let last_port = fs::read_to_string(dir.join("port")).ok().and_then(|text| text.trim().parse().ok());
        let port = ports::preferred_or_free(last_port).map_err(at(&dir))?;
        let monitor_port = ports::free().map_err(at(&dir))?;
        let mut server = NatsServer {
            bin,
            dir,
            options,
            port,
            monitor_port,
            process: None,
            client: reqwest::Client::new(),
        };
        server.end_leftover().await?;
        server.write_configuration()?;
        let mut tries = 1;
        while let Err(error) = server.launch().await {
            let port_was_taken = !ports::is_free(server.port) || !ports::is_free(server.monitor_port);
            if tries == PORT_TRIES || !port_was_taken {
                return Err(error);
            }
            tries += 1;
            server.port = ports::free().map_err(at(&server.dir))?;
            server.monitor_port = ports::free().map_err(at(&server.dir))?;
        }
        fs::write(server.dir.join("port"), server.port.to_string()).map_err(at(&server.dir))?;
        Ok(server)
    }

    /// Where clients connect; the same over restarts.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The clients' port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the server tells about itself over HTTP.
    pub fn monitor_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.monitor_port)
    }

    /// The password of a user.
    pub fn password(&self, user: &str) -> &str {
        self.options.passwords.of(user)
    }

    /// Every user's password.
    pub fn passwords(&self) -> &Passwords {
        &self.options.passwords
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<i32> {
        self.process.as_ref().filter(|process| process.status().is_none()).map(Process::pid)
    }

    /// The child process, while there is one.
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// The server's log file.
    pub fn log_file(&self) -> PathBuf {
        self.dir.join("nats-server.log")
    }

    /// The folder of all streams.
    pub fn store_dir(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// Stops the server in an orderly way and waits until it is gone.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop(Signal::SIGTERM, Duration::from_secs(30)).await;
        }
    }

    /// Kills it as a crash would.
    pub async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
    }

    /// Starts it again, after [`NatsServer::stop`] or [`NatsServer::kill`], on the same data and ports.
    pub async fn restart(&mut self) -> Result<(), NatsError> {
        self.stop().await;
        self.launch().await
    }

    /// Stops it and deletes all of JetStream: streams, consumers, schedules, messages. Start it with `restart`.
    pub async fn wipe(&mut self) -> Result<(), NatsError> {
        self.kill().await;
        match fs::remove_dir_all(self.store_dir()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(self.store_dir())(error)),
            _ => Ok(()),
        }
    }

    /// Copies the repository's files beside the store, since nats-server includes only by relative path.
    fn write_configuration(&self) -> Result<(), NatsError> {
        let source = sources::nats_dir();
        for name in [SERVER_CONF, USERS_CONF] {
            let text = fs::read_to_string(source.join(name)).map_err(at(source.join(name)))?;
            fs::write(self.dir.join(name), text).map_err(at(self.dir.join(name)))?;
        }
        let text = format!("include '{SERVER_CONF}'\n{}", self.options.extra);
        fs::write(self.main_conf(), text).map_err(at(self.main_conf()))
    }

    fn main_conf(&self) -> PathBuf {
        self.dir.join("main.conf")
    }

    fn pid_file(&self) -> PathBuf {
        self.dir.join("nats-server.pid")
    }

    async fn launch(&mut self) -> Result<(), NatsError> {
        let log = self.log_file();
        let log_handle = File::options().create(true).append(true).open(&log).map_err(at(&log))?;
        let log_too = log_handle.try_clone().map_err(at(&log))?;
        let mut command =
            process::command(&self.bin, &Identity::Current, Signal::SIGTERM).map_err(at("setpriv"))?;
        command
            .arg("--config")
            .arg(self.main_conf())
            .args(["--name", "arcadia-local", "--addr", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--http_port", &self.monitor_port.to_string()])
            .arg("--jetstream")
            .arg("--store_dir")
            .arg(self.store_dir())
            .arg("--pid")
            .arg(self.pid_file())
            .current_dir(&self.dir)
            .stdout(log_handle)
            .stderr(log_too);
        for (user, password) in &self.options.passwords.0 {
            command.env(permissions::password_variable(user), password);
        }
        let process = Process::spawn("nats-server", command).map_err(at(&self.bin))?;
        self.process = Some(process.clone());
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        while !self.is_healthy().await {
            if let Some(status) = process.status() {
                let tail = tail(&log);
                return Err(NatsError::Ended { status: status.to_string(), log, tail });
            }
            if tokio::time::Instant::now() > deadline {
                return Err(NatsError::NotReady { seconds: READY_WITHIN.as_secs(), log });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Whether the server says that it is healthy, JetStream included.
    pub async fn is_healthy(&self) -> bool {
        let url = format!("{}/healthz", self.monitor_url());
        let answer = self.client.get(url).timeout(Duration::from_secs(2)).send().await;
        answer.is_ok_and(|response| response.status().is_success())
    }

    /// Ends a server that a killed supervisor left on the same data.
    async fn end_leftover(&self) -> Result<(), NatsError> {
        let Some(pid) = leftover(&self.pid_file(), &self.dir) else { return Ok(()) };
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            process::signal_pid(pid, signal);
            if process::gone_within(pid, Duration::from_secs(15)).await {
                return Ok(());
            }
        }
        Err(NatsError::InUse { pid, dir: self.dir.clone() })
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop_blocking(Signal::SIGTERM, Duration::from_secs(5));
        }
    }
}

/// The process in the file, if it really is a server in this folder and not a later process of the same id.
fn leftover(pid_file: &Path, dir: &Path) -> Option<i32> {
    let pid: i32 = fs::read_to_string(pid_file).ok()?.trim().parse().ok()?;
    let works_in = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    (works_in == dir).then_some(pid)
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}
