//! A child process that is always reaped, that dies with this one, and that can be stopped from any task.
//!
//! Each child has a thread of its own that starts it and waits for it. So reaping needs no runtime, and the kernel's
//! parent-death signal, which fires when the *thread* that started the child ends, fires only when this process dies.

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::watch;

/// The user that a child runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The user of this process.
    Current,
    /// Another user; only root can do this.
    Other {
        /// The numeric user.
        uid: u32,
        /// The numeric group, the only one the child keeps.
        gid: u32,
    },
}

/// A command that runs as `identity` and gets `on_parent_death` when this process dies, however it dies.
///
/// Both are done by `setpriv` from util-linux, which then becomes the program itself. Without it (macOS) the child
/// outlives a killed parent; running as another user is then impossible.
pub fn command(program: &Path, identity: &Identity, on_parent_death: Signal) -> io::Result<Command> {
    let Some(setpriv) = find_in_path("setpriv") else {
        return match identity {
            Identity::Current => Ok(Command::new(program)),
            Identity::Other { .. } => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "setpriv is needed to run as another user: apt-get install util-linux",
            )),
        };
    };
    let mut command = Command::new(setpriv);
    let signal = on_parent_death.as_str().trim_start_matches("SIG").to_owned();
    command.args(["--pdeathsig", &signal]);
    if let Identity::Other { uid, gid } = identity {
        command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups");
    }
    command.arg("--").arg(program);
    Ok(command)
}

/// The first executable of this name in PATH, or in the usual places of system tools.
pub fn find_in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    find_in(std::env::split_paths(&path).chain(["/usr/bin".into(), "/bin".into()]), name)
}

/// The first executable of this name in these folders.
pub fn find_in(folders: impl IntoIterator<Item = PathBuf>, name: impl AsRef<OsStr>) -> Option<PathBuf> {
    folders.into_iter().map(|folder| folder.join(name.as_ref())).find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// A running or finished child.
#[derive(Debug, Clone)]
pub struct Process {
    name: String,
    pid: Pid,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl Process {
    /// Starts the command in a process group of its own, so that a Ctrl-C at the terminal reaches only us.
    ///
    /// Standard input is closed unless the command redirects it with [`Process::spawn_with_stdin`].
    pub fn spawn(name: impl Into<String>, mut command: Command) -> io::Result<Process> {
        command.stdin(Stdio::null());
        Self::spawn_with_stdin(name, command)
    }

    /// Like [`Process::spawn`], but standard input stays as the command says.
    pub fn spawn_with_stdin(name: impl Into<String>, mut command: Command) -> io::Result<Process> {
        command.process_group(0);
        Self::spawn_in_our_group(name, command)
    }

    /// Leaves the command as it is, for a child that makes a session of its own: a leader of a group may not.
    pub fn spawn_in_our_group(name: impl Into<String>, mut command: Command) -> io::Result<Process> {
        let name = name.into();
        let (exit_sender, exit) = watch::channel(None);
        let (pid_sender, pid) = mpsc::channel();
        std::thread::Builder::new().name(format!("wait {name}")).spawn(move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => {
                    pid_sender.send(Err(error)).expect("the starter waits for the answer");
                    return;
                }
            };
            // What the child inherited must not stay open here, or readers of its output never see the end.
            drop(command);
            pid_sender.send(Ok(child.id())).expect("the starter waits for the answer");
            let status = child.wait().expect("only this thread waits for the child");
            exit_sender.send_replace(Some(status));
        })?;
        let pid = pid.recv().expect("the thread answers before it ends")?;
        let pid = Pid::from_raw(i32::try_from(pid).expect("process ids fit in pid_t"));
        Ok(Process { name, pid, exit })
    }

    /// The name given at the start.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id; that of the program itself, also when `setpriv` started it.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// How it ended, or `None` while it runs.
    pub fn status(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Sends a signal to the process alone. One that has ended gets nothing.
    pub fn signal(&self, signal: Signal) {
        if self.status().is_none() {
            // It may end at this very moment, and then there is nobody to tell.
            signal::kill(self.pid, signal).ok();
        }
    }

    /// Sends a signal to the process and all that it started and that stayed in its group.
    pub fn signal_group(&self, signal: Signal) {
        if self.status().is_none() {
            signal::killpg(self.pid, signal).ok();
        }
    }

    /// Waits for the end.
    pub async fn exited(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        let status = exit.wait_for(Option::is_some).await.expect("the thread sends before it ends");
        status.expect("waited for a status")
    }

    /// Waits for the end, but not longer than this.
    pub async fn exited_within(&self, limit: Duration) -> Option<ExitStatus> {
        tokio::time::timeout(limit, self.exited()).await.ok()
    }

    /// Asks it to stop, and kills its whole group when it has not within `grace`.
    pub async fn stop(&self, signal: Signal, grace: Duration) -> ExitStatus {
        self.signal(signal);
        match self.exited_within(grace).await {
            Some(status) => status,
            None => self.kill().await,
        }
    }

    /// Kills its whole group and waits until it is gone.
    pub async fn kill(&self) -> ExitStatus {
        self.signal_group(Signal::SIGKILL);
        self.exited().await
    }

    /// For destructors, which cannot await: signals, waits a moment, kills.
    pub fn stop_blocking(&self, signal: Signal, grace: Duration) {
        self.signal(signal);
        let step = Duration::from_millis(5);
        let mut waited = Duration::ZERO;
        while self.status().is_none() && waited < grace {
            std::thread::sleep(step);
            waited += step;
        }
        self.signal_group(Signal::SIGKILL);
    }
}

/// Waits until a process that is not our child is gone. `false` when it still runs after `limit`.
pub async fn gone_within(pid: i32, limit: Duration) -> bool {
    let deadline = tokio::time::Instant::now() + limit;
    while is_alive(pid) {
        if tokio::time::Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

/// Whether a process of this id exists.
pub fn is_alive(pid: i32) -> bool {
    signal::kill(Pid::from_raw(pid), None) != Err(nix::errno::Errno::ESRCH)
}

/// Signals a process that is not our child; one that is gone is no error.
pub fn signal_pid(pid: i32, signal: Signal) {
    signal::kill(Pid::from_raw(pid), signal).ok();
}

/// The direct children of a process, from /proc; none where there is no /proc.
pub fn children_of(parent: i32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

/// The fourth field of /proc/PID/stat; counted from the closing parenthesis, since the name before may hold anything.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}
