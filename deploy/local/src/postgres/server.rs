//! The server process: initdb, start, readiness, shutdown, crash, restart.

use super::place::{Place, give};
use super::{PostgresError, at};
use crate::install::{PgBin, ensure_postgres};
use crate::ports;
use crate::process::{self, Process};
use nix::sys::signal::Signal;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use uuid::Uuid;

/// The administrator of the cluster.
const SUPERUSER: &str = "postgres";

/// Recovery after a crash may take a while on a slow disk.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How often a start is repeated when somebody took the port in the meantime.
const PORT_TRIES: u32 = 5;

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether a commit survives a power cut. Off only where the data is thrown away and speed matters more.
    pub durable: bool,
    /// Postgres' own cache, in megabytes.
    pub shared_buffers_mb: u32,
    /// Every service has a pool, and tests run several systems at once.
    pub max_connections: u32,
    /// Whether everything is deleted when the server is dropped.
    pub throwaway: bool,
    /// More settings, as `name`, `value`; they win over ours.
    pub settings: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            durable: true,
            shared_buffers_mb: 128,
            max_connections: 200,
            throwaway: false,
            settings: Vec::new(),
        }
    }
}

/// How a server is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Ends every session, then writes everything out.
    Fast,
    /// Ends at once; the next start recovers, as after a crash.
    Immediate,
}

/// A Postgres server that we started. Dropped, it ends at once.
#[derive(Debug)]
pub struct Postgres {
    bin: PgBin,
    place: Place,
    options: Options,
    password: String,
    port: u16,
    process: Option<Process>,
}

impl Postgres {
    /// Starts a server on the data in this folder, making it first if there is none. Ready when this returns.
    pub async fn start(dir: &Path, options: Options) -> Result<Postgres, PostgresError> {
        let bin = tokio::task::spawn_blocking(ensure_postgres)
            .await
            .expect("looking for Postgres does not panic")?;
        let place = Place::prepare(dir)?;
        let password = keep_password(&place.dir)?;
        let last_port =
            fs::read_to_string(place.dir.join("port")).ok().and_then(|text| text.trim().parse().ok());
        let port = ports::preferred_or_free(last_port).map_err(at(&place.dir))?;
        let mut server = Postgres { bin, place, options, password, port, process: None };
        server.end_leftover().await?;
        // Written last, so that a folder whose initdb was interrupted is made anew.
        let made = server.place.dir.join("made");
        if !made.exists() {
            server.place.empty_data()?;
            server.initdb().await?;
            fs::write(&made, "").map_err(at(&made))?;
        }
        let mut tries = 1;
        while let Err(error) = server.launch().await {
            let port_was_taken = !ports::is_free(server.port);
            if tries == PORT_TRIES || !port_was_taken {
                return Err(error);
            }
            tries += 1;
            server.port = ports::free().map_err(at(&server.place.dir))?;
        }
        fs::write(server.place.dir.join("port"), server.port.to_string()).map_err(at(&server.place.dir))?;
        Ok(server)
    }

    /// The port on 127.0.0.1; the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<i32> {
        self.process.as_ref().filter(|process| process.status().is_none()).map(Process::pid)
    }

    /// The child process, while there is one.
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// The folder with the Unix socket.
    pub fn socket_dir(&self) -> &Path {
        &self.place.sockets
    }

    /// The server's log file.
    pub fn log_file(&self) -> PathBuf {
        self.place.dir.join("postgres.log")
    }

    /// The administrator's URL for a database.
    pub fn superuser_url(&self, database: &str) -> String {
        self.url(SUPERUSER, &self.password, database)
    }

    /// The URL for a role. Name and password must be of letters, digits, `-` and `_`, as all of ours are.
    pub fn url(&self, role: &str, password: &str, database: &str) -> String {
        // sslmode=disable: the server has no certificate, and asking costs every connection a round trip.
        format!("postgres://{role}:{password}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Stops the server and waits until it is gone.
    pub async fn stop(&mut self, how: Shutdown) {
        if let Some(process) = self.process.take() {
            let signal = match how {
                Shutdown::Fast => Signal::SIGINT,
                Shutdown::Immediate => Signal::SIGQUIT,
            };
            process.stop(signal, Duration::from_secs(60)).await;
        }
    }

    /// Kills the server and all its sessions as a crash of the machine's memory would: nothing is written out.
    pub async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            // Each backend has a session of its own, so no group signal reaches them all.
            let backends = process::children_of(process.pid());
            process.signal(Signal::SIGKILL);
            for pid in &backends {
                process::signal_pid(*pid, Signal::SIGKILL);
            }
            process.exited().await;
            for pid in backends {
                process::gone_within(pid, Duration::from_secs(10)).await;
            }
        }
    }

    /// Starts it again, after [`Postgres::stop`] or [`Postgres::kill`], on the same data and port.
    pub async fn restart(&mut self) -> Result<(), PostgresError> {
        self.stop(Shutdown::Fast).await;
        self.launch().await
    }

    async fn initdb(&self) -> Result<(), PostgresError> {
        let password_file = self.place.data.with_file_name("initdb-password");
        write_private(&password_file, &self.password)?;
        give(&password_file, &self.place.identity)?;
        let mut command =
            process::command(&self.bin.program("initdb"), &self.place.identity, Signal::SIGTERM)
                .map_err(at("setpriv"))?;
        command
            .arg("--pgdata")
            .arg(&self.place.data)
            .args(["--username", SUPERUSER, "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"])
            .arg("--pwfile")
            .arg(&password_file)
            .current_dir(&self.place.data)
            .stdin(Stdio::null());
        if !self.options.durable {
            command.arg("--no-sync");
        }
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .expect("running initdb does not panic")
            .map_err(at(self.bin.program("initdb")))?;
        fs::remove_file(&password_file).map_err(at(&password_file))?;
        if output.status.success() {
            return Ok(());
        }
        Err(PostgresError::Initdb {
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    async fn launch(&mut self) -> Result<(), PostgresError> {
        let log = self.log_file();
        let log_handle = File::options().create(true).append(true).open(&log).map_err(at(&log))?;
        let process = Process::spawn("postgres", self.command(log_handle)?)
            .map_err(at(self.bin.program("postgres")))?;
        self.process = Some(process.clone());
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        while !self.answers().await {
            if let Some(status) = process.status() {
                let tail = tail(&log);
                return Err(PostgresError::Ended { status: status.to_string(), log, tail });
            }
            if tokio::time::Instant::now() > deadline {
                return Err(PostgresError::NotReady { seconds: READY_WITHIN.as_secs(), log });
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        Ok(())
    }

    fn command(&self, log: File) -> Result<Command, PostgresError> {
        // SIGINT is the fast shutdown; SIGTERM would wait for sessions that may never end.
        let mut command =
            process::command(&self.bin.program("postgres"), &self.place.identity, Signal::SIGINT)
                .map_err(at("setpriv"))?;
        command.arg("-D").arg(&self.place.data);
        let on_off = |on| if on { "on" } else { "off" }.to_owned();
        let settings = [
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("port", self.port.to_string()),
            ("unix_socket_directories", self.place.sockets.to_string_lossy().into_owned()),
            ("max_connections", self.options.max_connections.to_string()),
            ("shared_buffers", format!("{}MB", self.options.shared_buffers_mb)),
            ("fsync", on_off(self.options.durable)),
            ("synchronous_commit", on_off(self.options.durable)),
            ("full_page_writes", on_off(self.options.durable)),
            ("max_wal_size", "2GB".to_owned()),
            ("wal_compression", "off".to_owned()),
            ("timezone", "UTC".to_owned()),
            ("log_timezone", "UTC".to_owned()),
            ("log_line_prefix", "%m [%p] %u@%d ".to_owned()),
            // Compiling a query costs more than any of ours runs.
            ("jit", "off".to_owned()),
            // A peer that vanished must lose its session, and with it its advisory locks, within seconds.
            ("tcp_keepalives_idle", "10".to_owned()),
            ("tcp_keepalives_interval", "5".to_owned()),
            ("tcp_keepalives_count", "3".to_owned()),
            ("tcp_user_timeout", "20s".to_owned()),
        ];
        for (name, value) in settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        for (name, value) in &self.options.settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let log_too = log.try_clone().map_err(at(self.log_file()))?;
        command.current_dir(&self.place.data).stdout(log).stderr(log_too);
        Ok(command)
    }

    async fn answers(&self) -> bool {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username(SUPERUSER)
            .password(&self.password)
            .database("postgres")
            .ssl_mode(PgSslMode::Disable);
        match options.connect().await {
            Ok(connection) => connection.close().await.is_ok(),
            Err(_) => false,
        }
    }

    /// Ends a server that a killed supervisor left on the same data. Its own shutdown is usually under way.
    async fn end_leftover(&self) -> Result<(), PostgresError> {
        let data = &self.place.data;
        let Some(pid) = leftover(data) else { return Ok(()) };
        for signal in [Signal::SIGINT, Signal::SIGQUIT] {
            process::signal_pid(pid, signal);
            if process::gone_within(pid, Duration::from_secs(15)).await {
                return Ok(());
            }
        }
        Err(PostgresError::InUse { pid, data: data.clone() })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop_blocking(Signal::SIGQUIT, Duration::from_secs(5));
        }
        if self.options.throwaway {
            // A destructor has nobody to tell; what stays is a folder of temporary files.
            super::remove(&self.place.dir).ok();
        }
    }
}

/// The process in `postmaster.pid`, if it really is a server on this data and not a later process of the same id.
fn leftover(data: &Path) -> Option<i32> {
    let pid: i32 =
        fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()?;
    let works_in = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    (works_in == *data).then_some(pid)
}

/// The administrator's password of this server, made at its first start.
fn keep_password(dir: &Path) -> Result<String, PostgresError> {
    let file = dir.join("password");
    match fs::read_to_string(&file) {
        Ok(password) => Ok(password),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let password = format!("p{}", Uuid::new_v4().simple());
            write_private(&file, &password)?;
            Ok(password)
        }
        Err(error) => Err(at(file)(error)),
    }
}

fn write_private(file: &Path, text: &str) -> Result<(), PostgresError> {
    OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut handle| handle.write_all(text.as_bytes()))
        .map_err(at(file))
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}
