//! `cargo up --detach`, the supervisor behind it, and `cargo down`.

use super::{Stop, SystemOptions, bind, run};
use crate::console::Console;
use crate::process::{Process, is_alive, signal_pid};
use crate::state::StateDir;
use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// A supervisor that has not stopped everything by then is killed, and the kernel tells its children.
const DOWN_WITHIN: Duration = Duration::from_secs(90);

/// Starts the supervisor in the background and returns when it is ready, or has failed.
pub async fn start(options: &SystemOptions, state: &StateDir) -> anyhow::Result<ExitCode> {
    let (reader, writer) = std::io::pipe().context("make a pipe to the supervisor")?;
    let mut command = Command::new(std::env::current_exe().context("find our own binary")?);
    command.arg("supervise").arg("--state").arg(state.path()).args(["--http", &options.http.to_string()]);
    if let Some(url) = &options.provider {
        command.args(["--provider", url]);
    }
    if options.external {
        command.arg("--external");
    }
    command.stdout(writer.try_clone().context("share the pipe")?).stderr(writer);
    command.stdin(Stdio::null());
    let supervisor = Process::spawn_in_our_group("supervisor", command).context("start the supervisor")?;
    let console = Console::new(true);
    let shown = tokio::task::spawn_blocking(move || {
        // Ends when the supervisor turns to its log file, which it does when it is ready, or when it ends.
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            console.print(&line);
        }
    });
    tokio::select! {
        shown = shown => shown.context("show the supervisor's progress")?,
        // The user lost patience. What has started goes down again.
        _ = tokio::signal::ctrl_c() => {
            supervisor.stop(Signal::SIGTERM, DOWN_WITHIN).await;
            return Ok(ExitCode::from(130));
        }
    }
    if state.supervisor().is_some_and(|told| told.pid == supervisor.pid() && told.ready) {
        println!("It runs in the background (process {}); `cargo down` stops it.", supervisor.pid());
        return Ok(ExitCode::SUCCESS);
    }
    supervisor.exited_within(DOWN_WITHIN).await;
    bail!("the system did not start; see above, and the files in {}", state.logs().display())
}

/// The supervisor itself, in a session of its own, so that no terminal's end reaches it.
pub async fn supervise(options: SystemOptions) -> anyhow::Result<ExitCode> {
    // Already a leader when a person runs the hidden command by hand; then there is nothing to leave.
    nix::unistd::setsid().ok();
    let state = StateDir::open(options.state.as_deref())?;
    let lock = state.lock()?;
    let listener = bind(options.http)?;
    let mut stop = Stop::listen()?;
    let log = state.log_file("supervisor");
    let turn_to_log = || {
        let file = File::options().create(true).append(true).open(&log);
        let file = file.with_context(|| format!("open {}", log.display()))?;
        nix::unistd::dup2_stdout(&file).context("turn standard output to the log")?;
        nix::unistd::dup2_stderr(&file).context("turn standard error to the log")
    };
    run(&options, &state, lock, listener, &mut stop, Console::new(false), turn_to_log).await
}

/// Stops the system of a state folder and waits until it is gone.
pub async fn down(state: &StateDir) -> anyhow::Result<ExitCode> {
    if state.try_lock()?.is_some() {
        println!("Nothing runs on {}.", state.path().display());
        return Ok(ExitCode::SUCCESS);
    }
    let Some(supervisor) = state.supervisor() else {
        bail!("the system on {} is still being built; stop it where it was started", state.path().display());
    };
    println!("Stopping process {} …", supervisor.pid);
    signal_pid(supervisor.pid, Signal::SIGTERM);
    let deadline = tokio::time::Instant::now() + DOWN_WITHIN;
    while state.try_lock()?.is_none() {
        if tokio::time::Instant::now() > deadline {
            signal_pid(supervisor.pid, Signal::SIGKILL);
            bail!("it did not stop within {} s and was killed", DOWN_WITHIN.as_secs());
        }
        if !is_alive(supervisor.pid) {
            bail!("process {} is gone, but another one holds {}", supervisor.pid, state.path().display());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("Stopped.");
    Ok(ExitCode::SUCCESS)
}
