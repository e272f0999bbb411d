//! Rolling restarts of the real process under load: no request is lost.

use std::{
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::time::{Instant, sleep};

use crate::support::SECRET;

const RESTARTS: usize = 20;

/// A gateway on the shared socket; killed when the test fails.
struct Gateway {
    process: Child,
    operations: SocketAddr,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Gateway {
    fn start(socket: &TcpListener) -> Self {
        Self::start_by(socket, Command::new(env!("CARGO_BIN_EXE_gateway-api")))
    }

    /// One that may open only this many descriptors.
    fn start_with_descriptors(socket: &TcpListener, count: usize) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {count}; exec \"$0\""), env!("CARGO_BIN_EXE_gateway-api")]);
        Self::start_by(socket, command)
    }

    fn start_by(socket: &TcpListener, mut command: Command) -> Self {
        let operations = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = command
            .env_clear()
            .envs([("LISTEN_FD", "0"), ("JWT_SECRET", SECRET), ("RUST_LOG", "error")])
            .envs([
                ("NATS_URL", "nats://127.0.0.1:9"),
                ("NATS_USER", "gateway-api"),
                ("NATS_PASSWORD", "none"),
            ])
            .env("OPS_ADDR", operations.to_string())
            .stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())))
            .spawn()
            .unwrap();
        Self { process, operations }
    }

    /// Waits until it serves; NATS is nowhere, so it is alive and not ready.
    async fn alive(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let url = format!("http://{}/livez", self.operations);
        while reqwest::get(&url).await.is_err() {
            assert!(Instant::now() < deadline, "a gateway does not come up");
            sleep(Duration::from_millis(20)).await;
        }
        sleep(Duration::from_millis(50)).await;
    }

    async fn stop(mut self) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(status.success(), "a gateway ended with {status}");
                return;
            }
            assert!(Instant::now() < deadline, "a gateway does not drain");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_rolling_restarts_lose_no_request() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/health", socket.local_addr().unwrap());
    let mut current = Gateway::start(&socket);
    current.alive().await;

    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = Vec::new();
    for index in 0..8 {
        let (url, stop, answered) = (url.clone(), Arc::clone(&stop), Arc::clone(&answered));
        // Half of them keep their connection, half take a new one for every request. None tries again.
        let idle = if index % 2 == 0 { 4 } else { 0 };
        let client = reqwest::Client::builder()
            .pool_max_idle_per_host(idle)
            .retry(reqwest::retry::never())
            .timeout(Duration::from_secs(5))
            .build()
            .unwrap();
        clients.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let response =
                    client.get(&url).send().await.unwrap_or_else(|error| panic!("lost: {error:?}"));
                assert_eq!(response.status().as_u16(), 200);
                response.bytes().await.unwrap_or_else(|error| panic!("cut off: {error:?}"));
                answered.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(2)).await;
            }
        }));
    }
    for _ in 0..RESTARTS {
        let successor = Gateway::start(&socket);
        successor.alive().await;
        std::mem::replace(&mut current, successor).stop().await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert!(answered.load(Ordering::Relaxed) > 1000, "hardly any load: {answered:?}");
    current.stop().await;
}

#[tokio::test]
async fn a_gateway_without_descriptors_serves_again_when_it_has_some() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    let gateway = Gateway::start_with_descriptors(&socket, 40);
    gateway.alive().await;
    let mut held = Vec::new();
    for _ in 0..60 {
        held.push(tokio::net::TcpStream::connect(addr).await.unwrap());
    }
    sleep(Duration::from_millis(300)).await;
    drop(held);
    let health = reqwest::get(format!("http://{addr}/api/health")).await.unwrap();
    assert_eq!(health.status().as_u16(), 200);
    gateway.stop().await;
}
