//! Keeps Postgres and nats-server running: each is started again, on its port, when it ends by itself.

use crate::console::Console;
use crate::environment::EnvironmentFile;
use crate::nats::NatsServer;
use crate::postgres::{Postgres, Shutdown};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The pause before the next start; both recover their data first, so a short one is enough.
const PAUSE: Duration = Duration::from_secs(1);

/// How often nats-server is asked for its health.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// After a full disk nats-server stays unhealthy until it is started again, also when there is space.
const UNHEALTHY_MAX: u32 = 3;

/// A server that is kept running.
#[derive(Debug)]
pub struct Keeper {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Keeps Postgres running until [`Keeper::stop`].
    pub fn postgres(mut server: Postgres, console: Console, environment: EnvironmentFile) -> Keeper {
        Self::spawn(move |stop| async move {
            loop {
                tell_pid(&environment, &console, "postgres", server.pid());
                let Some(process) = server.process().cloned() else { return };
                tokio::select! {
                    status = process.exited() => console.step("postgres", format!("ended by itself ({status})")),
                    () = stop.cancelled() => return server.stop(Shutdown::Fast).await,
                }
                while let Err(error) = server.restart().await {
                    console.step("postgres", format!("{:#}", anyhow::Error::from(error)));
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = stop.cancelled() => return server.stop(Shutdown::Fast).await,
                    }
                }
                console.step("postgres", "running again");
            }
        })
    }

    /// Keeps nats-server running until [`Keeper::stop`].
    pub fn nats(mut server: NatsServer, console: Console, environment: EnvironmentFile) -> Keeper {
        Self::spawn(move |stop| async move {
            loop {
                tell_pid(&environment, &console, "nats-server", server.pid());
                let Some(process) = server.process().cloned() else { return };
                tokio::select! {
                    status = process.exited() => console.step("nats-server", format!("ended by itself ({status})")),
                    () = until_sick(&server) => console.step("nats-server", "is not healthy; restarting it"),
                    () = stop.cancelled() => return server.stop().await,
                }
                while let Err(error) = server.restart().await {
                    console.step("nats-server", format!("{:#}", anyhow::Error::from(error)));
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = stop.cancelled() => return server.stop().await,
                    }
                }
                console.step("nats-server", "running again");
            }
        })
    }

    fn spawn<Task>(task: impl FnOnce(CancellationToken) -> Task) -> Keeper
    where
        Task: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = tokio::spawn(task(stop.clone()));
        Keeper { stop, task }
    }

    /// Stops the server in an orderly way and waits until it is gone.
    pub async fn stop(self) {
        self.stop.cancel();
        // A task that panicked has dropped its server, which ends it too.
        self.task.await.ok();
    }
}

fn tell_pid(environment: &EnvironmentFile, console: &Console, name: &str, pid: Option<i32>) {
    let Some(pid) = pid else { return };
    let variable = format!("{}_PID", crate::environment::variable_prefix(name));
    if let Err(error) = environment.set([(variable, pid.to_string())]) {
        console.step(name, format!("{error:#}"));
    }
}

async fn until_sick(server: &NatsServer) {
    let mut failures = 0;
    while failures < UNHEALTHY_MAX {
        tokio::time::sleep(CHECK_EVERY).await;
        failures = if server.is_healthy().await { 0 } else { failures + 1 };
    }
}
