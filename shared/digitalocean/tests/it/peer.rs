//! A small HTTP server that answers as a script says and remembers what it was asked.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use digitalocean::{Client, Limits, Purpose, Settings};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use url::Url;

pub const TOKEN: &str = "dop_v1_canary7f3a9c";

/// What the peer does with one request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Sends these bytes and keeps the connection.
    Bytes(Vec<u8>),
    /// Sends these bytes and closes the connection.
    Last(Vec<u8>),
    /// Sends the first bytes, then the second ones over and over, with this pause.
    Endless(Vec<u8>, Vec<u8>, Duration),
    /// Sends these bytes and then nothing, for ever.
    Hang(Vec<u8>),
}

impl Reply {
    /// A JSON answer.
    pub fn json(status: u16, body: impl AsRef<str>) -> Self {
        Self::with(status, &["content-type: application/json"], body.as_ref().as_bytes())
    }

    /// An answer with these header lines.
    pub fn with(status: u16, headers: &[&str], body: &[u8]) -> Self {
        let mut bytes = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\n", body.len());
        for header in headers {
            bytes.push_str(header);
            bytes.push_str("\r\n");
        }
        bytes.push_str("\r\n");
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(body);
        Self::Bytes(bytes)
    }
}

/// One request as the peer got it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `GET /v2/droplets?page=1`.
    pub line: String,
    pub head: String,
    pub body: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

#[derive(Clone)]
pub struct Peer {
    pub url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Peer {
    /// Answers with the replies in turn, and with the last one from then on.
    pub async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let script: Vec<Reply> = script.into_iter().collect();
        Self::answering(move |number, _| script[number.min(script.len() - 1)].clone()).await
    }

    /// Answers the n-th request (from 0) with what the function says.
    pub async fn answering(answer: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let peer = Self { url, seen: Arc::default() };
        let (seen, answer) = (peer.seen.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (seen.clone(), answer.clone());
                tokio::spawn(async move {
                    // The client hanging up in the middle is part of many of these tests.
                    drop(serve(stream, &seen, &*answer).await);
                });
            }
        });
        peer
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }

    /// A client of this peer with limits that make a test take milliseconds.
    pub fn client(&self, purpose: Purpose) -> Client {
        Client::new(self.settings(purpose)).unwrap()
    }

    pub fn settings(&self, purpose: Purpose) -> Settings {
        let limits = Limits {
            connect: Duration::from_millis(500),
            total: Duration::from_millis(400),
            body_bytes_max: 64 << 10,
            csv_bytes_max: 256 << 10,
            pages_max: 5,
            budget_per_minute: 100_000,
            budget_per_hour: 100_000,
            retries_max: 2,
            backoff: Duration::from_millis(2),
            wait_max: Duration::from_millis(60),
            ..Limits::default()
        };
        Settings { limits, ..Settings::new(self.url.clone(), TOKEN.into(), purpose) }
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Seen>>,
    answer: &(dyn Fn(usize, &Seen) -> Reply + Send + Sync),
) -> std::io::Result<()> {
    while let Some(request) = read(&mut stream).await? {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            seen.len() - 1
        };
        match answer(number, &request) {
            Reply::Bytes(bytes) => stream.write_all(&bytes).await?,
            Reply::Last(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Reply::Endless(head, chunk, pause) => {
                stream.write_all(&head).await?;
                loop {
                    stream.write_all(&chunk).await?;
                    tokio::time::sleep(pause).await;
                }
            }
            Reply::Hang(head) => {
                stream.write_all(&head).await?;
                std::future::pending::<()>().await;
            }
        }
    }
    Ok(())
}

async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Seen>> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let request = head.split(" HTTP/1.1").next().unwrap().to_owned();
            let seen = Seen { line: request, head: head.to_owned(), body: body.to_owned() };
            let length = seen.header("content-length").map_or(0, |value| value.parse().unwrap());
            if body.len() >= length {
                return Ok(Some(seen));
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await? {
            0 => return Ok(None),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// A droplet with what every droplet has.
pub fn droplet(id: i64, name: &str) -> String {
    let name = serde_json::to_string(name).unwrap();
    format!(
        r#"{{"id":{id},"name":{name},"memory":1024,"vcpus":1,"disk":25,"locked":false,"status":"active",
        "created_at":"2026-03-01T10:00:00Z","size_slug":"s-1vcpu-1gb","tags":["web"],"volume_ids":[],
        "region":{{"name":"New York 3","slug":"nyc3","sizes":["a","b"],"features":[],"available":true}},
        "networks":{{"v4":[{{"ip_address":"10.0.0.2","type":"private"}},{{"ip_address":"203.0.113.7","type":"public"}}],"v6":[]}},
        "image":{{"id":11,"slug":"debian-13-x64","name":"13","distribution":"Debian"}},"vpc_uuid":"v-1"}}"#
    )
}

/// A page of droplets; `next` is the whole value of `links.pages.next`.
pub fn page(droplets: &[String], next: Option<&str>, total: u64) -> String {
    let links =
        next.map_or("{}".to_owned(), |next| format!(r#"{{"pages":{{"next":"{next}","last":"{next}"}}}}"#));
    format!(r#"{{"droplets":[{}],"links":{links},"meta":{{"total":{total}}}}}"#, droplets.join(","))
}
