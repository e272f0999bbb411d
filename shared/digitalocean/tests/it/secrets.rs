//! The token and other secrets: who sees them, and who does not.

use std::{
    io,
    sync::{Arc, Mutex},
};

use digitalocean::{Client, Purpose, SettingsError};

use crate::peer::{Peer, Reply, TOKEN, droplet, page};

#[tokio::test]
async fn the_configured_host_gets_the_token_and_a_trace() {
    let peer = Peer::start([Reply::json(200, page(&[droplet(1, "a")], None, 1))]).await;
    let mut settings = peer.settings(Purpose::SyncFast);
    settings.trace_header =
        Some(|| Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()));
    Client::new(settings).unwrap().droplets().next().await.unwrap();
    let seen = &peer.seen()[0];
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!(seen.header("user-agent"), Some("arcadia-cloud"));
    assert_eq!(seen.header("accept-encoding"), Some("gzip"));
    assert!(seen.header("traceparent").is_some_and(|parent| parent.starts_with("00-0af765")));
}

#[tokio::test]
async fn neither_debug_nor_an_error_shows_the_token() {
    let echo = format!(r#"{{"id":"x{TOKEN}","message":"you sent Bearer {TOKEN}, did you?"}}"#);
    let peer = Peer::start([Reply::json(422, echo)]).await;
    let client = peer.client(Purpose::SyncFast);
    let error = client.droplets().next().await.unwrap_err();
    assert!(error.to_string().contains("you sent Bearer [token], did you?"));
    for text in [
        format!("{error:?}"),
        format!("{client:?}"),
        format!("{:?}", client.droplets()),
        format!("{:?}", peer.settings(Purpose::SyncFast)),
    ] {
        assert!(!text.contains(TOKEN), "{text}");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_most_talkative_log_holds_no_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::CLOSE)
        .with_writer(move || writer.clone())
        .finish();
    // For the whole process: a subscriber of one thread alone can miss what another thread's tests met first.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let databases = r#"{"databases":[{"id":"d1","name":"main","engine":"pg","status":"online","region":"nyc3","num_nodes":1,
        "connection":{"uri":"postgres://doadmin:hunter2@h:1/d","password":"hunter2"},"users":[{"name":"doadmin","password":"hunter2"}]}]}"#;
    let broken = databases.replace(r#""num_nodes":1"#, r#""num_nodes":"hunter2""#);
    let peer =
        Peer::start([Reply::json(503, ""), Reply::json(200, databases), Reply::json(200, broken)]).await;
    let client = peer.client(Purpose::SyncFull);
    let (rows, _) = client.databases().all().await.unwrap();
    let error = client.databases().all().await.unwrap_err();
    tracing::error!(%error, ?rows, "said what was seen");
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for expected in
        ["provider_request", "databases.list", "sync_full", "duration_ms", "databases[0].num_nodes"]
    {
        assert!(log.contains(expected), "{expected} is missing in {log}");
    }
    for secret in [TOKEN, "hunter2"] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
}

#[tokio::test]
async fn settings_that_cannot_keep_the_token_safe_are_refused() {
    let peer = Peer::start([Reply::json(200, "")]).await;
    for address in [
        "ftp://api.example",
        "file:///etc/passwd",
        "https://user@api.example",
        "https://user:word@api.example",
        "https://api.example/?a=b",
        "https://api.example/#x",
        "data:text/plain,x",
    ] {
        let mut settings = peer.settings(Purpose::SyncFast);
        settings.base_url = address.parse().unwrap();
        assert!(matches!(Client::new(settings), Err(SettingsError::Address)), "{address}");
    }
    for token in ["", "  ", "a\r\nx-evil: 1", "a\0"] {
        let mut settings = peer.settings(Purpose::SyncFast);
        settings.token = token.into();
        let error = Client::new(settings).unwrap_err();
        assert!(matches!(error, SettingsError::Token), "{token:?}");
    }
    let mut settings = peer.settings(Purpose::SyncFast);
    settings.limits.pages_max = 0;
    assert_eq!(Client::new(settings).unwrap_err().to_string(), "the limit pages_max must be above zero");
    let mut settings = peer.settings(Purpose::SyncFast);
    settings.base_url = "https://api.digitalocean.com".parse().unwrap();
    Client::new(settings).unwrap();
}
