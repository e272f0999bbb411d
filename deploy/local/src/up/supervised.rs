//! One child under supervision: its environment is what we say, its log has a prefix, and it is started again when it
//! ends by itself.

use crate::console::Console;
use crate::environment::{EnvironmentFile, variable_prefix};
use crate::process::{self, Identity, Process};
use crate::state::StateDir;
use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, PipeReader, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What passes from our environment into a child's. Everything else is said explicitly, so that variables of the
/// developer's shell, a sourced `env` file among them, change nothing.
const INHERITED: [&str; 9] =
    ["HOME", "LANG", "PATH", "RUST_BACKTRACE", "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR", "TZ", "USER"];

/// The same, by how they begin.
const INHERITED_PREFIX: &str = "OTEL_";

/// Services drain their requests; none takes longer.
const GRACE: Duration = Duration::from_secs(20);

/// The pause before a child is started again, doubled at each crash.
const BACKOFF: Duration = Duration::from_millis(500);

/// The longest pause.
const BACKOFF_MAX: Duration = Duration::from_secs(15);

/// A child that ran this long is healthy again, and its next crash counts as the first.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);

/// Crashes before the first readiness after which the start has failed.
const CRASHES_AT_START_MAX: u32 = 3;

/// A child that says its configuration is bad will say so again.
const EXIT_CONFIGURATION: i32 = 64;

/// A log file longer than this is put aside at the next start.
const LOG_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// What to run.
#[derive(Debug)]
pub struct Spec {
    /// The name in prefixes, log files and variables.
    pub name: &'static str,
    /// The binary.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, besides the few variables that pass through.
    pub env: Vec<(String, String)>,
    /// A listening socket that it gets as standard input and is told of by `LISTEN_FD=0`. Held by us, so that
    /// connections wait while it is started again.
    pub listener: Option<TcpListener>,
    /// Answers 200 when it is ready.
    pub ready_url: String,
}

/// Where the child stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    /// How often it ended by itself in a row.
    Crashed(u32),
    /// It will not be started again.
    Failed,
}

/// What is needed to run any child.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// For log files.
    pub state: StateDir,
    /// For steps and log lines.
    pub console: Console,
    /// For process ids.
    pub environment: EnvironmentFile,
}

/// A child that is kept running.
#[derive(Debug)]
pub struct Supervised {
    name: &'static str,
    ready_url: String,
    log: PathBuf,
    life: watch::Receiver<Life>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Supervised {
    /// Starts the child and keeps it running until [`Supervised::stop`].
    pub fn start(spec: Spec, surroundings: Surroundings) -> anyhow::Result<Supervised> {
        let log = surroundings.state.log_file(spec.name);
        put_aside_when_long(&log);
        let (life_sender, life) = watch::channel(Life::Running);
        let stop = CancellationToken::new();
        let (name, ready_url) = (spec.name, spec.ready_url.clone());
        let first = launch(&spec, &surroundings)?;
        let task = tokio::spawn(keep(spec, surroundings, first, life_sender, stop.clone()));
        Ok(Supervised { name, ready_url, log, life, stop, task })
    }

    /// Waits until it says that it is ready, or has crashed too often.
    pub async fn ready(&self, client: &reqwest::Client, within: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let answer = client.get(&self.ready_url).timeout(Duration::from_secs(2)).send().await;
            if answer.is_ok_and(|response| response.status().is_success()) {
                return Ok(());
            }
            let life = *self.life.borrow();
            let given_up = match life {
                Life::Running => false,
                Life::Crashed(times) => times >= CRASHES_AT_START_MAX,
                Life::Failed => true,
            };
            if given_up {
                bail!(
                    "{} does not start; the end of {}:\n{}",
                    self.name,
                    self.log.display(),
                    tail(&self.log)
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "{} was not ready within {} s; the end of {}:\n{}",
                    self.name,
                    within.as_secs(),
                    self.log.display(),
                    tail(&self.log)
                );
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    /// Asks it to end and waits until it has, by force after the grace period.
    pub async fn stop(self) {
        self.stop.cancel();
        // A task that panicked leaves a child that dies with us.
        self.task.await.ok();
    }
}

async fn keep(
    spec: Spec,
    surroundings: Surroundings,
    first: Process,
    life: watch::Sender<Life>,
    stop: CancellationToken,
) {
    let mut process = first;
    let mut crashes = 0;
    loop {
        let started = Instant::now();
        let status = tokio::select! {
            status = process.exited() => status,
            () = stop.cancelled() => {
                process.stop(Signal::SIGTERM, GRACE).await;
                return;
            }
        };
        crashes = if started.elapsed() > HEALTHY_AFTER { 1 } else { crashes + 1 };
        if status.code() == Some(EXIT_CONFIGURATION) {
            surroundings.console.step(spec.name, "refuses its configuration; not started again");
            life.send_replace(Life::Failed);
            return;
        }
        life.send_replace(Life::Crashed(crashes));
        let pause = backoff(crashes);
        surroundings.console.step(spec.name, ended(status, pause));
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            match launch(&spec, &surroundings) {
                Ok(started) => {
                    process = started;
                    break;
                }
                Err(error) => surroundings.console.step(spec.name, format!("{error:#}")),
            }
        }
    }
}

fn backoff(crashes: u32) -> Duration {
    (BACKOFF * 2u32.saturating_pow(crashes.saturating_sub(1).min(8))).min(BACKOFF_MAX)
}

fn ended(status: ExitStatus, pause: Duration) -> String {
    format!("ended by itself ({status}); started again in {:.1} s", pause.as_secs_f32())
}

fn launch(spec: &Spec, surroundings: &Surroundings) -> anyhow::Result<Process> {
    let starting = || format!("start {}", spec.name);
    let (reader, writer) = std::io::pipe().with_context(starting)?;
    let mut command = command(spec).with_context(starting)?;
    command.stdout(writer.try_clone().with_context(starting)?).stderr(writer);
    let process = Process::spawn_with_stdin(spec.name, command).with_context(starting)?;
    let prefix = variable_prefix(spec.name);
    surroundings.environment.set([(format!("{prefix}_PID"), process.pid().to_string())])?;
    copy_log(spec.name, reader, surroundings.state.log_file(spec.name), surroundings.console.clone())?;
    Ok(process)
}

fn command(spec: &Spec) -> anyhow::Result<Command> {
    let mut command = process::command(&spec.program, &Identity::Current, Signal::SIGTERM)?;
    command.args(&spec.args).env_clear();
    let passes = |name: &str| INHERITED.contains(&name) || name.starts_with(INHERITED_PREFIX);
    command.envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(passes)));
    command.envs(spec.env.iter().map(|(name, value)| (name, value)));
    match &spec.listener {
        Some(listener) => {
            command.stdin(Stdio::from(OwnedFd::from(listener.try_clone()?))).env("LISTEN_FD", "0");
        }
        None => {
            command.stdin(Stdio::null());
        }
    }
    Ok(command)
}

/// Copies lines as they come, into the file and to the terminal. Ends with the child.
fn copy_log(name: &'static str, reader: PipeReader, file: PathBuf, console: Console) -> anyhow::Result<()> {
    let opened = File::options().create(true).append(true).open(&file);
    let mut log = opened.with_context(|| format!("open {}", file.display()))?;
    let copy = move || {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            // A full disk must not stop the child, as an unread pipe would.
            log.write_all(&line).ok();
            console.log(name, String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    };
    std::thread::Builder::new().name(format!("log {name}")).spawn(copy).context("start a thread")?;
    Ok(())
}

fn put_aside_when_long(log: &Path) {
    if log.metadata().is_ok_and(|meta| meta.len() > LOG_BYTES_MAX) {
        // At worst the file grows on.
        fs::rename(log, log.with_extension("log.old")).ok();
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

#[cfg(test)]
mod tests;
