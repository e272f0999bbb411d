//! The connection of one service to NATS.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::{Client, ConnectOptions, Event, ServerError, connection::State, jetstream};
use contracts::permissions;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;
use tracing::{error, info, warn};

/// Where NATS is and who we are there.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `nats://host:port`, several separated by commas.
    pub url: String,
    /// The user; also the connection's name and inbox prefix.
    pub user: String,
    /// The user's password.
    pub password: SecretString,
}

/// A live connection; cheap to clone.
#[derive(Clone)]
pub struct Nats {
    pub(crate) client: Client,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) user: Arc<str>,
    /// Counts the times a connection was made; what was on the way over the one before may be lost.
    pub(crate) connections: watch::Receiver<u64>,
    denied: Arc<Mutex<Option<String>>>,
    lacking: Arc<Mutex<Option<String>>>,
}

/// NATS cannot be used with these settings.
#[derive(Debug, thiserror::Error)]
#[error("connect to nats as {user}")]
pub struct ConnectError {
    user: String,
    #[source]
    source: async_nats::ConnectError,
}

/// Half-open connections are noticed within two intervals; the client's default would take minutes.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// The client would wait up to four seconds between attempts.
const RECONNECT_DELAY_MAX: Duration = Duration::from_millis(500);
/// How long a JetStream request may take before its outcome is unknown.
const ACK_TIMEOUT: Duration = Duration::from_secs(5);

impl Nats {
    /// Connects, now or as soon as a server is there.
    pub async fn connect(settings: Settings) -> Result<Self, ConnectError> {
        let denied = Arc::new(Mutex::new(None));
        let on_event = Arc::clone(&denied);
        let (connected, connections) = watch::channel(0);
        let options = ConnectOptions::new()
            .user_and_password(settings.user.clone(), settings.password.expose_secret().to_owned())
            .name(&settings.user)
            .custom_inbox_prefix(permissions::inbox_prefix(&settings.user))
            .ping_interval(PING_INTERVAL)
            .retry_on_initial_connect()
            .reconnect_delay_callback(|attempts| {
                let delay = Duration::from_millis(10u64.saturating_mul(1 << attempts.min(6)));
                delay.min(RECONNECT_DELAY_MAX)
            })
            .event_callback(move |event| {
                if matches!(event, Event::Connected) {
                    connected.send_modify(|count| *count += 1);
                }
                note(&on_event, &event);
                std::future::ready(())
            });
        let servers: Vec<String> = settings.url.split(',').map(str::to_owned).collect();
        let client = options
            .connect(servers)
            .await
            .map_err(|source| ConnectError { user: settings.user.clone(), source })?;
        let jetstream = jetstream::context::ContextBuilder::new().timeout(ACK_TIMEOUT).build(client.clone());
        Ok(Self {
            client,
            jetstream,
            user: settings.user.into(),
            connections,
            denied,
            lacking: Arc::default(),
        })
    }

    /// Whether the connection stands right now.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// For readiness: what is wrong with the connection, if anything.
    pub fn check(&self) -> Result<(), String> {
        if !self.is_connected() {
            return Err("not connected".to_owned());
        }
        let said = |slot: &Mutex<Option<String>>| slot.lock().ok().and_then(|said| said.clone());
        match said(&self.lacking).or_else(|| said(&self.denied)) {
            Some(problem) => Err(problem),
            None => Ok(()),
        }
    }

    /// Records that the server's idea of our permissions is not ours.
    pub(crate) fn deny(&self, what: String) {
        error!(nats.user = %self.user, "{what}");
        set(&self.lacking, Some(what));
    }

    /// Sends what is buffered and waits until the server has it.
    pub async fn flush(&self) {
        if let Err(error) = self.client.flush().await {
            warn!(%error, "could not flush to nats");
        }
    }
}

fn note(denied: &Mutex<Option<String>>, event: &Event) {
    match event {
        Event::Connected => {
            info!("connected to nats");
            set(denied, None);
        }
        Event::Disconnected => warn!("disconnected from nats"),
        // A denied publish or subscribe returned Ok to its caller and looks like a timeout; this is its only
        // trace.
        Event::ServerError(ServerError::Other(text))
            if text.to_lowercase().contains("permissions violation") =>
        {
            error!(nats.error = %text, "nats refused a subject; see nats/users.conf");
            set(denied, Some(text.clone()));
        }
        Event::ServerError(error) => warn!(%error, "nats reported an error"),
        Event::SlowConsumer(_) => warn!("nats dropped messages for a slow subscription"),
        Event::ClientError(error) => warn!(%error, "nats client error"),
        Event::LameDuckMode | Event::Draining | Event::Closed => info!(event = %event, "nats connection"),
    }
}

fn set(denied: &Mutex<Option<String>>, value: Option<String>) {
    if let Ok(mut denied) = denied.lock() {
        *denied = value;
    }
}
