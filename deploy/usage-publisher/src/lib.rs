//! Publishes the traffic of `local::usage` as arcadia-llm-gateway would: in order, each message again and again until
//! JetStream has acknowledged it, whatever dies meanwhile.
//!
//! A program of its own, as only `messaging` speaks NATS and `local` does without it; the tests use it as a library.
//! It is not for deployments.

use std::time::{Duration, Instant};

use bytes::Bytes;
use local::usage::{Message, Pace, Published};
use messaging::Nats;
use messaging::batch::{self, Outgoing, PublishError};
use tracing::warn;

/// Publishing cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CannotPublish {
    /// NATS refused the user; trying again would not help.
    #[error("nats refuses: {0}")]
    Refused(String),
}

/// Between looks at the connection: a server that died is noticed within this.
const LOOK: Duration = Duration::from_millis(10);
/// Between attempts.
const RETRY: Duration = Duration::from_millis(50);
/// The least wait for messages to fall due.
const DUE: Duration = Duration::from_micros(500);
/// Connected, and yet no attempt succeeds for as long: what NATS says about our rights is the cause.
const PATIENCE: Duration = Duration::from_secs(30);

/// Publishes all of it, in order. `progress` is told after every acknowledgement.
pub async fn publish(
    nats: &Nats,
    mut messages: impl Iterator<Item = Message>,
    pace: Pace,
    mut progress: impl FnMut(&Published),
) -> Result<Published, CannotPublish> {
    let begun = Instant::now();
    let mut published = Published::default();
    loop {
        let room = due(begun.elapsed(), &pace, published.acknowledged).await;
        let group: Vec<Outgoing> = messages.by_ref().take(room).map(outgoing).collect();
        if group.is_empty() {
            return Ok(published);
        }
        let count = group.len() as u64;
        published.repeated += publish_for_sure(nats, &group).await?;
        published.acknowledged += count;
        progress(&published);
    }
}

fn outgoing(message: Message) -> Outgoing {
    let headers = message.headers();
    Outgoing::new(message.subject, headers, Bytes::from(message.body))
}

/// How many messages may go now; at least one, when it is time.
async fn due(elapsed: Duration, pace: &Pace, sent: u64) -> usize {
    let most = pace.batch.clamp(1, batch::BATCH_MAX);
    let Some(per_second) = pace.per_second else { return most };
    let per_second = u128::from(per_second.get());
    let target = elapsed.as_micros() * per_second / 1_000_000;
    let due = target.saturating_sub(u128::from(sent));
    if due > 0 {
        return usize::try_from(due).unwrap_or(most).min(most);
    }
    let next = (u128::from(sent) + 1) * 1_000_000 / per_second;
    let wait = u64::try_from(next.saturating_sub(elapsed.as_micros())).unwrap_or(0);
    tokio::time::sleep(Duration::from_micros(wait).max(DUE)).await;
    1
}

/// From this many on, `messaging` makes a batch of a group.
const BATCH_MIN: usize = 12;

/// Publishes a group once. What is too little for a batch goes one by one: messages of several subjects that overlap
/// may lose their order when the connection breaks, and a correction must not come before its request.
async fn publish_once(nats: &Nats, group: &[Outgoing]) -> Result<(), PublishError> {
    if group.len() >= BATCH_MIN {
        return batch::publish(nats, group.to_vec()).await;
    }
    for message in group {
        batch::publish(nats, vec![message.clone()]).await?;
    }
    Ok(())
}

/// Sends a group until it is acknowledged whole. Returns how many messages were sent again.
async fn publish_for_sure(nats: &Nats, group: &[Outgoing]) -> Result<u64, CannotPublish> {
    let mut repeated = 0;
    let mut connected_since = Instant::now();
    loop {
        while !nats.is_connected() {
            tokio::time::sleep(LOOK).await;
            connected_since = Instant::now();
        }
        let failure = tokio::select! {
            outcome = publish_once(nats, group) => match outcome {
                Ok(()) => return Ok(repeated),
                Err(error) => reason(&error),
            },
            () = disconnected(nats) => "the connection broke".to_owned(),
        };
        if connected_since.elapsed() > PATIENCE
            && let Err(refusal) = nats.check()
        {
            return Err(CannotPublish::Refused(refusal));
        }
        warn!(messages = group.len(), "sending again: {failure}");
        repeated += group.len() as u64;
        tokio::time::sleep(RETRY).await;
    }
}

/// The client waits seconds for the answer of a server that is gone.
async fn disconnected(nats: &Nats) {
    while nats.is_connected() {
        tokio::time::sleep(LOOK).await;
    }
}

fn reason(error: &PublishError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
