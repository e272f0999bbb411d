//! `cargo up`: builds, installs, starts, migrates, provisions, supervises, shows; and `cargo down`.

mod build;
mod detach;
mod external;
mod keeper;
mod provision;
mod specs;
mod start;
mod summary;
mod supervised;

pub use build::{USAGE_PUBLISHER, binary};
pub use detach::{down, supervise};
pub use provision::NATS_ADMIN;

use crate::console::Console;
use crate::state::{StateDir, StateLock, Supervisor};
use anyhow::{Context, bail};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// What the user asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct UpOptions {
    /// Return when everything is ready and leave it running; `cargo down` stops it.
    #[arg(long)]
    pub detach: bool,
    /// Delete the data of the last run first.
    #[arg(long)]
    pub fresh: bool,
    #[command(flatten)]
    pub system: SystemOptions,
}

/// What the supervisor needs to know.
#[derive(Debug, Clone, clap::Args)]
pub struct SystemOptions {
    /// The folder of this system's data, logs and secrets [default: .arcadia in the checkout].
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Where the gateway listens.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4005")]
    pub http: SocketAddr,
    /// Work on this provider's API with the tokens in DO_API_TOKEN…, instead of the simulator.
    #[arg(long, value_name = "URL")]
    pub provider: Option<String>,
    /// Take NATS and Postgres from NATS_URL and DATABASE_URL instead of starting them. DATABASE_URL's role must be
    /// allowed to make roles and databases; each NATS user's password is in `USER_NATS_PASSWORD`, named after the user.
    #[arg(long)]
    pub external: bool,
}

/// Runs the system until it is told to stop, or starts it in the background.
pub async fn up(options: UpOptions) -> anyhow::Result<ExitCode> {
    let state = StateDir::open(options.system.state.as_deref())?;
    state.claim()?;
    let lock = state.lock()?;
    // Before the build, so that the user learns of it at once.
    let listener = bind(options.system.http)?;
    if options.fresh {
        state.clear()?;
    }
    build::build().await?;
    install(options.system.external).await?;
    if options.detach {
        // The supervisor takes both itself.
        drop((listener, lock));
        return detach::start(&options.system, &state).await;
    }
    let mut stop = Stop::listen()?;
    run(&options.system, &state, lock, listener, &mut stop, Console::new(true), || Ok(())).await
}

/// Downloads show their own progress, so they come before the clock of the start runs.
async fn install(external: bool) -> anyhow::Result<()> {
    if external {
        return Ok(());
    }
    let both = || {
        crate::install::ensure_nats_server()?;
        crate::install::ensure_postgres()
    };
    tokio::task::spawn_blocking(both).await.context("look for the servers")??;
    Ok(())
}

/// The gateway's socket. It is ours, so that connections wait while the gateway is started again.
fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address) {
        Ok(listener) => {
            listener.set_nonblocking(true).context("prepare the gateway's socket")?;
            Ok(listener)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let owner = crate::ports::owner::describe(address.port());
            bail!("{address} is taken by {owner}; stop it, or choose another address with --http")
        }
        Err(error) => Err(error).with_context(|| format!("listen on {address}")),
    }
}

/// Starts everything, shows it, waits for the word to stop, stops everything.
async fn run(
    options: &SystemOptions,
    state: &StateDir,
    lock: StateLock,
    listener: TcpListener,
    stop: &mut Stop,
    console: Console,
    when_ready: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    // With port 0 the kernel has chosen one.
    let address = listener.local_addr().context("read the gateway's address")?;
    let options = &SystemOptions { http: address, ..options.clone() };
    let mut supervisor = Supervisor {
        pid: nix::unistd::getpid().as_raw(),
        gateway_url: format!("http://{address}"),
        ready: false,
    };
    state.announce(&supervisor)?;
    let mut system = start::System::new(state.clone(), console.clone())?;
    let started = tokio::select! {
        started = system.bring_up(options, listener) => Some(started),
        () = stop.asked() => None,
    };
    let outcome = match started {
        Some(Ok(gateway)) => {
            supervisor.ready = true;
            state.announce(&supervisor)?;
            tokio::select! {
                shown = summary::show(&gateway, state, &console) => match shown.and_then(|()| when_ready()) {
                    Ok(()) => {
                        stop.asked().await;
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                () = stop.asked() => Ok(()),
            }
        }
        Some(Err(error)) => Err(error),
        None => Ok(()),
    };
    if let Err(error) = &outcome {
        console.step("up", format!("failed: {error:#}"));
    }
    console.step("up", "stopping; once more to force it");
    let forced = tokio::select! {
        () = system.stop() => false,
        () = stop.asked() => true,
    };
    state.retract();
    if forced {
        // Whatever still runs is told by the kernel that we died; see `process`.
        console.step("up", "forced");
        return Ok(ExitCode::from(130));
    }
    console.step("up", "stopped");
    drop(lock);
    // What went wrong was said when it did, before the stop.
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The word to stop: Ctrl-C, SIGTERM, or the end of the terminal.
struct Stop(mpsc::UnboundedReceiver<()>);

impl Stop {
    fn listen() -> anyhow::Result<Stop> {
        let (sender, receiver) = mpsc::unbounded_channel();
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let mut signals = signal(kind).context("listen for signals")?;
            let sender = sender.clone();
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    if sender.send(()).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Stop(receiver))
    }

    async fn asked(&mut self) {
        self.0.recv().await;
    }
}
