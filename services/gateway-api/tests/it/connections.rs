//! Connections from the wire: what is no HTTP, what never comes, and what comes too often.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::support::{operator, serve};

async fn exchange(addr: std::net::SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection stays open after {}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn what_is_no_http_gets_a_problem_and_is_closed() {
    let served = serve().await;
    let huge = format!("GET / HTTP/1.1\r\nhost: x\r\ncookie: {}\r\n\r\n", "c".repeat(40 * 1024));
    let large = format!("GET / HTTP/1.1\r\nhost: x\r\ncookie: {}\r\n\r\n", "c".repeat(20 * 1024));
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(150));
    let some = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(80));
    for (bytes, status) in [
        (&b"nonsense\r\n\r\n"[..], 400),
        (b"GET / HTTP/1.1\r\nhost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: x\r\n folded: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nho\0st: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nh\xc3\xb6st: x\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nhost: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", 400),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n", 400),
        (b"GET /api/health HTTP/1.1\r\n\r\n", 400),
        (b"GET /api/health HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        (huge.as_bytes(), 431),
        (large.as_bytes(), 431),
        (many.as_bytes(), 431),
        (some.as_bytes(), 431),
    ] {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let answer = exchange(served.addr, bytes).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{shown:?}: {answer:?}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        assert!(head.contains("content-type: application/problem+json"), "{shown:?}: {answer:?}");
        assert!(
            head.contains("connection: close") && head.contains("x-request-id: "),
            "{shown:?}: {answer:?}"
        );
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["status"], status);
    }
    assert_eq!(exchange(served.addr, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await, "");
    // And the next one is served as if nothing had happened.
    let health =
        exchange(served.addr, b"GET /api/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(health.starts_with("HTTP/1.1 200 OK"), "{health}");
}

#[tokio::test]
async fn a_refused_body_does_not_hide_the_refusal() {
    let served = serve().await;
    let token = format!("authorization: Bearer {}\r\n", operator());
    // Larger than this operation takes, without and with a token; and larger than any takes.
    for (authorization, length, status) in [("", 400_000, 401), (&token, 400_000, 413), ("", 1_100_000, 413)]
    {
        let head = format!(
            "POST /api/v1/projects/x/classify HTTP/1.1\r\nhost: x\r\n{authorization}content-length: {length}\r\n\r\n"
        );
        let answer = exchange(served.addr, &[head.as_bytes(), &vec![b'x'; length]].concat()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

#[tokio::test]
async fn without_a_token_a_body_is_not_asked_for() {
    let served = serve().await;
    let head = "POST /api/v1/inventory/x/classify HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n";
    let answer = exchange(served.addr, format!("{head}content-length: 10\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn a_head_that_does_not_come_is_cut_off_and_others_are_served() {
    let served = serve().await;
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(served.addr).await.unwrap();
        stream.write_all(b"GET /api/health HTTP/1.1\r\nhost: ").await.unwrap();
        slow.push(stream);
    }
    let started = Instant::now();
    let health =
        exchange(served.addr, b"GET /api/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(health.starts_with("HTTP/1.1 200 OK") && started.elapsed() < Duration::from_secs(1));
    for mut stream in slow {
        let cut = timeout(Duration::from_secs(13), stream.read_to_end(&mut Vec::new())).await;
        assert!(cut.is_ok(), "a silent connection is still open");
    }
    assert!(started.elapsed() > Duration::from_secs(9), "cut off after {:?}", started.elapsed());
}

#[tokio::test]
async fn a_connection_too_many_is_told_so() {
    let served = serve().await;
    let mut held = Vec::new();
    for _ in 0..gateway_api::server::CONNECTIONS_MAX {
        held.push(TcpStream::connect(served.addr).await.unwrap());
    }
    // Connections are taken in their order, so the next one is one too many.
    let answer = exchange(served.addr, b"GET /api/health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"), "{answer}");
    drop(held);
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let again =
            exchange(served.addr, b"GET /api/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        if again.starts_with("HTTP/1.1 200") {
            return;
        }
        assert!(Instant::now() < deadline, "{again}");
    }
}

#[tokio::test]
async fn a_draining_gateway_answers_and_says_goodbye() {
    let served = serve().await;
    let mut live = TcpStream::connect(served.addr).await.unwrap();
    let ask = b"GET /api/health HTTP/1.1\r\nhost: x\r\n\r\n";
    live.write_all(ask).await.unwrap();
    let mut buffer = vec![0; 4096];
    let first = live.read(&mut buffer).await.unwrap();
    assert!(!String::from_utf8_lossy(&buffer[..first]).contains("connection: close"));

    served.shutdown.cancel();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!served.task.is_finished());
    live.write_all(ask).await.unwrap();
    let mut answer = String::new();
    live.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    drop(live);
    timeout(Duration::from_secs(4), served.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_socket_of_our_own_is_served_until_a_balancer_has_seen_that_we_go() {
    let served = serve().await;
    let told = Instant::now();
    served.shutdown.cancel();
    let ask = b"GET /api/health HTTP/1.1\r\nhost: x\r\n\r\n";
    while told.elapsed() < Duration::from_millis(1_900) {
        let answer = exchange(served.addr, ask).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
        // Long enough for the queue to be quiet in between.
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    timeout(Duration::from_secs(4), served.task).await.unwrap().unwrap();
    assert!(told.elapsed() >= Duration::from_secs(2));
    assert!(TcpStream::connect(served.addr).await.is_err(), "nobody listens any more");
}
