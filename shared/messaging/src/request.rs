//! Asking another service.

use std::{fmt, time::Duration};

use async_nats::{
    HeaderMap,
    client::{Request, RequestErrorKind},
};
use bytes::Bytes;
use contracts::{Command, Message, Problem, Query, Service, envelope, parked::PerService};
use serde::Serialize;
use tracing::warn;
use uuid::Uuid;

use crate::connection::Nats;

/// How long an answer may take before it is asked for again, and then before its outcome is unknown.
const FIRST_TIMEOUT: Duration = Duration::from_secs(3);
const SECOND_TIMEOUT: Duration = Duration::from_secs(7);

/// Names one intended effect: the same key again gets the stored reply. 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// The text is no idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 255 visible ASCII characters")]
pub struct InvalidKey;

impl IdempotencyKey {
    /// A key that nobody used before.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    /// Checks a key.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidKey) }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A successful answer: the JSON of the reply type, as it came.
#[derive(Debug, Clone)]
pub struct Replied {
    /// The body.
    pub body: Bytes,
    /// Whether it was stored by an earlier request with the same key.
    pub replayed: bool,
}

impl Nats {
    /// Asks a query. The body is JSON of `Q::Reply`.
    pub async fn query<Q: Query>(&self, query: &Q) -> Result<Bytes, Problem> {
        Ok(self.request(Q::SUBJECT, query, None).await?.body)
    }

    /// Gives a command. The body is JSON of `C::Reply`.
    pub async fn command<C: Command>(&self, command: &C, key: &IdempotencyKey) -> Result<Replied, Problem> {
        self.request(C::SUBJECT, command, Some(key)).await
    }

    /// Asks one service something that every service answers.
    pub async fn ask<M: PerService>(
        &self,
        owner: Service,
        message: &M,
        key: Option<&IdempotencyKey>,
    ) -> Result<Replied, Problem> {
        self.request(&M::subject(owner), message, key).await
    }

    async fn request<T: Serialize>(
        &self,
        subject: &str,
        message: &T,
        key: Option<&IdempotencyKey>,
    ) -> Result<Replied, Problem> {
        let payload = serde_json::to_vec(message).map_err(|error| {
            warn!(%error, message.subject = subject, "could not serialise a request");
            Problem::internal()
        })?;
        let mut headers = HeaderMap::new();
        headers.insert(envelope::CONTENT_TYPE, "application/json");
        if let Some(key) = key {
            headers.insert(envelope::IDEMPOTENCY_KEY, key.as_str());
        }
        if let Some(traceparent) = telemetry::propagation::current_traceparent() {
            headers.insert(envelope::TRACEPARENT, traceparent.as_str());
        }
        let payload = Bytes::from(payload);
        let ask = async |timeout| {
            let request =
                Request::new().headers(headers.clone()).payload(payload.clone()).timeout(Some(timeout));
            self.client.send_request(subject.to_owned(), request).await
        };
        let answer = match ask(FIRST_TIMEOUT).await {
            // Perhaps it went to a replica that was just leaving. A query changes nothing and a command carries
            // its key, so asking again is safe.
            Err(error) if error.kind() == RequestErrorKind::TimedOut => ask(SECOND_TIMEOUT).await,
            answer => answer,
        };
        let answer = answer.map_err(|error| {
            warn!(%error, message.subject = subject, "a request was not answered");
            match error.kind() {
                RequestErrorKind::NoResponders => {
                    Problem::unavailable("The service that answers this is not running. Nothing was done; try again.")
                }
                RequestErrorKind::TimedOut | RequestErrorKind::Other => Problem::unavailable(
                    "The service that answers this did not answer in time. Ask again, with the same Idempotency-Key if you sent one.",
                ),
                RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => Problem::internal(),
            }
        })?;
        let header = |name: &str| answer.headers.as_ref().and_then(|headers| headers.get(name));
        if header(async_nats::service::NATS_SERVICE_ERROR_CODE).is_some() {
            return Err(serde_json::from_slice(&answer.payload).unwrap_or_else(|error| {
                warn!(%error, message.subject = subject, "an error answer carries no problem");
                Problem::internal()
            }));
        }
        let replayed = header(envelope::REPLAYED).is_some();
        Ok(Replied { body: answer.payload, replayed })
    }

    /// Asks for the answer's type rather than its bytes.
    pub async fn query_typed<Q: Query + Message>(&self, query: &Q) -> Result<Q::Reply, Problem> {
        let body = self.query(query).await?;
        serde_json::from_slice(&body).map_err(|error| {
            warn!(%error, message.subject = Q::SUBJECT, "an answer does not fit its type");
            Problem::internal()
        })
    }
}
