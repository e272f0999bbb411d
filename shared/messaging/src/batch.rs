//! Publishing many messages with few disk syncs: an atomic batch (ADR-50) where it pays, single publishes where
//! it does not or may not.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use async_nats::{client::Request, jetstream};
use bytes::Bytes;
use serde::Deserialize;
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
/// The batch holds an id that the stream has already stored.
const CONTAINS_DUPLICATE: u64 = 10201;

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
            // A batch with one known id is refused whole; single publishes skip what is known.
            Err(PublishError::Refused { code: CONTAINS_DUPLICATE, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    publish_singly(nats, messages).await
}

async fn publish_singly(nats: &Nats, messages: Vec<Outgoing>) -> Result<(), PublishError> {
    // Sending is sequential, so the order holds; only the waiting for acknowledgements overlaps.
    let mut waiting = VecDeque::with_capacity(IN_FLIGHT);
    for message in messages {
        let Outgoing { subject, headers, payload } = message;
        let headers = envelope::header_map(&headers);
        waiting.push_back(nats.jetstream.publish_with_headers(subject, headers, payload).await?);
        if waiting.len() == IN_FLIGHT
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.await?;
        }
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
