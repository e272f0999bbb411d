//! Publishing many messages with few disk syncs: an atomic batch (ADR-50) where it pays, single publishes where
//! it does not or may not.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use async_nats::{client::Request, jetstream};
use bytes::Bytes;
use serde::Deserialize;
use tracing::debug;
use uuid::Uuid;

use crate::{connection::Nats, envelope};

/// Most messages in one atomic batch; the server's own limit.
pub const BATCH_MAX: usize = 1_000;
/// Below this a batch costs more disk syncs (about five) than single publishes do.
const BATCH_MIN: usize = 12;
/// Single publishes in flight at once.
const IN_FLIGHT: usize = 256;
/// How long the server may take to commit a batch.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// A message ready to go.
#[derive(Debug, Clone)]
pub struct Outgoing {
    subject: String,
    headers: BTreeMap<String, String>,
    payload: Bytes,
}

impl Outgoing {
    /// A message with these headers and bytes.
    pub fn new(subject: String, headers: BTreeMap<String, String>, payload: Bytes) -> Self {
        Self { subject, headers, payload }
    }
}

/// Messages could not be published; some may have been, and publishing all again is safe.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// JetStream did not confirm a message.
    #[error("publish to jetstream")]
    Single(#[from] jetstream::context::PublishError),
    /// The server did not confirm a batch.
    #[error("commit a batch")]
    Batch(#[from] async_nats::client::RequestError),
    /// The connection refused a message of a batch.
    #[error("send a message of a batch")]
    Send(#[from] async_nats::client::PublishError),
    /// The server refused a batch.
    #[error("batch refused: {description} ({code})")]
    Refused {
        /// JetStream's error code.
        code: u64,
        /// JetStream's words.
        description: String,
    },
    /// The server's answer to a batch made no sense.
    #[error("read the answer to a batch")]
    Answer(#[from] serde_json::Error),
}

/// Publishes messages of one stream in order and returns when every one of them is stored. An id that was
/// stored before counts as stored.
pub async fn publish(nats: &Nats, messages: Vec<Outgoing>) -> Result<(), PublishError> {
    if (BATCH_MIN..=BATCH_MAX).contains(&messages.len()) {
        match publish_atomically(nats, &messages).await {
            Ok(()) => return Ok(()),
            // A batch with one known id is refused whole, and some streams take no batches: single publishes
            // skip what is known, and tell which message is refused.
            Err(PublishError::Refused { code, description }) => {
                debug!(code, description, "a batch was refused; publishing one by one");
            }
            Err(error) => return Err(error),
        }
    }
    publish_singly(nats, messages).await
}

async fn publish_singly(nats: &Nats, messages: Vec<Outgoing>) -> Result<(), PublishError> {
    // Messages of one subject, which is one entity, wait for each other: when the connection breaks, what was sent
    // may be lost and what is sent next may arrive. Those of different subjects overlap.
    let mut waiting = Vec::with_capacity(IN_FLIGHT);
    let mut subjects = HashSet::with_capacity(IN_FLIGHT);
    for message in messages {
        let Outgoing { subject, headers, payload } = message;
        if waiting.len() == IN_FLIGHT || subjects.contains(&subject) {
            for acknowledgement in waiting.drain(..) {
                acknowledgement.await?;
            }
            subjects.clear();
        }
        subjects.insert(subject.clone());
        let headers = envelope::header_map(&headers);
        waiting.push(nats.jetstream.publish_with_headers(subject, headers, payload).await?);
    }
    for acknowledgement in waiting {
        acknowledgement.await?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Answer {
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    err_code: u64,
    description: String,
}

fn check(body: &[u8]) -> Result<(), PublishError> {
    // The first message of a batch is acknowledged with an empty body.
    if body.is_empty() {
        return Ok(());
    }
    match serde_json::from_slice::<Answer>(body)?.error {
        None => Ok(()),
        Some(error) => Err(PublishError::Refused { code: error.err_code, description: error.description }),
    }
}

async fn publish_atomically(nats: &Nats, messages: &[Outgoing]) -> Result<(), PublishError> {
    let batch = Uuid::now_v7().simple().to_string();
    let last = messages.len();
    for (index, message) in messages.iter().enumerate() {
        let sequence = index + 1;
        let mut headers = envelope::header_map(&message.headers);
        headers.insert("Nats-Batch-Id", batch.as_str());
        headers.insert("Nats-Batch-Sequence", sequence.to_string().as_str());
        if sequence == last {
            headers.insert("Nats-Batch-Commit", "1");
        }
        let (subject, payload) = (message.subject.clone(), message.payload.clone());
        // The first tells whether the stream takes batches at all, the last whether this one was stored.
        if sequence == 1 || sequence == last {
            let request = Request::new().headers(headers).payload(payload).timeout(Some(COMMIT_TIMEOUT));
            check(&nats.client.send_request(subject, request).await?.payload)?;
        } else {
            nats.client.publish_with_headers(subject, headers, payload).await?;
        }
    }
    Ok(())
}
