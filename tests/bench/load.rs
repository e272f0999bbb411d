//! Load over HTTP/1.1 keep-alive connections that costs the machine little itself.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What came of a load.
pub struct Figures {
    pub requests: usize,
    pub elapsed: Duration,
    latencies: Vec<Duration>,
}

impl Figures {
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    pub fn percentile(&self, percent: usize) -> Duration {
        let index = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(index).copied().unwrap_or_default()
    }

    pub fn print(&self, what: &str) {
        println!(
            "{what}: {:.0} requests/s, p50 {:.1} ms, p99 {:.1} ms",
            self.per_second(),
            self.percentile(50).as_secs_f64() * 1000.0,
            self.percentile(99).as_secs_f64() * 1000.0,
        );
    }
}

/// The middle one by requests a second.
pub fn middle(mut figures: Vec<Figures>) -> Figures {
    figures.sort_by(|one, other| one.per_second().total_cmp(&other.per_second()));
    figures.swap_remove(figures.len() / 2)
}

/// Asks the same thing over `connections` connections for this long; panics at the first answer but 200.
pub async fn run(address: &str, request: &str, connections: usize, duration: Duration) -> Figures {
    let begun = Instant::now();
    let until = begun + duration;
    let clients: Vec<_> = (0..connections)
        .map(|_| tokio::spawn(client(address.to_owned(), request.to_owned(), until)))
        .collect();
    let mut latencies = Vec::new();
    for client in clients {
        latencies.extend(client.await.expect("a client does not panic"));
    }
    let elapsed = begun.elapsed();
    latencies.sort();
    Figures { requests: latencies.len(), elapsed, latencies }
}

async fn client(address: String, request: String, until: Instant) -> Vec<Duration> {
    let mut stream = TcpStream::connect(&address).await.expect("the server listens");
    stream.set_nodelay(true).expect("an option of TCP");
    let mut latencies = Vec::new();
    let mut buffer = Vec::with_capacity(128 * 1024);
    while Instant::now() < until {
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).await.expect("the server reads");
        read_answer(&mut stream, &mut buffer).await;
        latencies.push(begun.elapsed());
    }
    latencies
}

async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) {
    buffer.clear();
    let head_end = loop {
        assert!(stream.read_buf(buffer).await.expect("the server answers") > 0, "the server hung up");
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{}", String::from_utf8_lossy(buffer));
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|length| length.trim().parse().ok())
        .expect("answers have a length");
    while buffer.len() < head_end + length {
        assert!(stream.read_buf(buffer).await.expect("the body comes") > 0, "the server hung up");
    }
}
