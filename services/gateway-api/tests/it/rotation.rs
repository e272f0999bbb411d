//! Rotating secrets in the real process: SIGHUP reads their files again.

use std::{
    fs,
    net::TcpListener,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
};

use jsonwebtoken::Algorithm;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use test_support::eventually;

use crate::support::{PREVIOUS, SECRET, claims, now, sign};

/// A gateway whose secrets are files; killed when the test ends.
struct Gateway {
    process: Child,
    url: String,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Gateway {
    fn start(secret: &Path, previous: &Path) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/api/v1/inventory?unknown=1", socket.local_addr().unwrap());
        let process = Command::new(env!("CARGO_BIN_EXE_gateway-api"))
            .env_clear()
            .envs([("LISTEN_FD", "0"), ("RUST_LOG", "error"), ("NATS_URL", "nats://127.0.0.1:9")])
            .envs([("NATS_USER", "gateway-api"), ("NATS_PASSWORD", "none")])
            .env("JWT_SECRET_FILE", secret)
            .env("JWT_SECRET_PREVIOUS_FILE", previous)
            .stdin(Stdio::from(OwnedFd::from(socket)))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, url }
    }

    fn hang_up(&self) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), Signal::SIGHUP).unwrap();
    }

    /// 401 for a token that is refused; with one that is taken, what is asked is looked at and comes to 422.
    async fn judges(&self, secret: &str) -> Result<u16, String> {
        let token =
            sign(r#"{"alg":"HS512","typ":"JWT"}"#, &claims(now()).to_string(), secret, Algorithm::HS512);
        let answer = reqwest::Client::new().get(&self.url).bearer_auth(token).send().await;
        answer.map(|answer| answer.status().as_u16()).map_err(|error| error.to_string())
    }

    /// Waits until tokens of a secret are judged so.
    async fn comes_to_judge(&self, secret: &str, status: u16) {
        eventually("the secrets in force are others", async || match self.judges(secret).await {
            Ok(judged) if judged == status => Ok(()),
            other => Err(other),
        })
        .await;
    }
}

#[tokio::test]
async fn a_hangup_reads_the_secrets_again() {
    const NEXT: &str = "the-secret-after-that-one-which-is-also-sixty-four-bytes-long!!!";
    let folder = tempfile::tempdir().unwrap();
    let (secret, previous) = (folder.path().join("secret"), folder.path().join("previous"));
    fs::write(&secret, SECRET).unwrap();
    fs::write(&previous, PREVIOUS).unwrap();
    let gateway = Gateway::start(&secret, &previous);
    gateway.comes_to_judge(SECRET, 422).await;
    assert_eq!(gateway.judges(PREVIOUS).await, Ok(422));
    assert_eq!(gateway.judges(NEXT).await, Ok(401));

    // The next secret comes, and the one before the last ends with all its tokens.
    fs::write(&secret, NEXT).unwrap();
    fs::write(&previous, SECRET).unwrap();
    gateway.hang_up();
    gateway.comes_to_judge(PREVIOUS, 401).await;
    assert_eq!(gateway.judges(SECRET).await, Ok(422));
    assert_eq!(gateway.judges(NEXT).await, Ok(422));

    // One that is too weak, or gone, changes nothing.
    fs::write(&secret, "secret").unwrap();
    gateway.hang_up();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(gateway.judges(NEXT).await, Ok(422));
    fs::remove_file(&secret).unwrap();
    gateway.hang_up();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(gateway.judges(NEXT).await, Ok(422));

    // And it is still there for the next rotation.
    fs::write(&secret, NEXT).unwrap();
    fs::write(&previous, "").unwrap();
    gateway.hang_up();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    fs::write(&previous, PREVIOUS).unwrap();
    gateway.hang_up();
    gateway.comes_to_judge(SECRET, 401).await;
}
