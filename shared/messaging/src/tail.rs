//! Reading along: the events of `EVENTS` for server-sent events, and plain subjects for an operator's terminal.

use async_nats::jetstream::consumer::{DeliverPolicy, ReplayPolicy, pull};
use bytes::Bytes;
use contracts::{TenantId, envelope, streams::Stream};
use futures::{StreamExt, stream::BoxStream};
use uuid::Uuid;

use crate::{connection::Nats, envelope::header_values};

/// Events asked for ahead of one reader.
const TAIL_BATCH: i64 = 64;

/// An event as it is stored in `EVENTS`.
#[derive(Debug, Clone)]
pub struct TailedEvent {
    /// Its place in the stream; what a reader resumes by.
    pub sequence: u64,
    /// Its whole subject.
    pub subject: String,
    /// `ce-type`: the subject without the id.
    pub event_type: String,
    /// `ce-id`.
    pub id: String,
    /// `ce-time`.
    pub time: String,
    /// Whose it is; `None`: operators only.
    pub tenant: Option<TenantId>,
    /// The JSON body.
    pub body: Bytes,
}

/// Events cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// The stream is not there, or has no leader at the moment.
    #[error("find the events stream")]
    Stream(#[from] async_nats::jetstream::context::GetStreamError),
    /// No consumer could be made.
    #[error("create a consumer of events")]
    Consumer(#[from] async_nats::jetstream::stream::ConsumerError),
    /// Messages cannot be asked for.
    #[error("ask for events")]
    Messages(#[from] async_nats::jetstream::consumer::StreamError),
    /// The next event did not come.
    #[error("read the next event")]
    Next(#[from] pull::OrderedError),
    /// An event without a place in the stream.
    #[error("an event has no place in the stream")]
    Place,
    /// A subject cannot be subscribed to.
    #[error("subscribe")]
    Subscribe(#[from] async_nats::SubscribeError),
    /// A question cannot be sent.
    #[error("ask who is there")]
    Ask(#[from] async_nats::client::PublishError),
}

/// Events in the stream's order, for as long as it is read.
pub struct EventTail {
    messages: BoxStream<'static, Result<async_nats::jetstream::Message, pull::OrderedError>>,
}

impl EventTail {
    /// The next event. The server resends what was lost on the way; only a broken connection ends it.
    pub async fn next(&mut self) -> Option<Result<TailedEvent, TailError>> {
        let message = match self.messages.next().await? {
            Ok(message) => message,
            Err(error) => return Some(Err(error.into())),
        };
        let Ok(info) = message.info() else { return Some(Err(TailError::Place)) };
        let sequence = info.stream_sequence;
        let mut headers = header_values(message.headers.as_ref());
        let mut header = |name: &str| headers.remove(name).unwrap_or_default();
        Some(Ok(TailedEvent {
            sequence,
            subject: message.subject.to_string(),
            event_type: header(envelope::CE_TYPE),
            id: header(envelope::CE_ID),
            time: header(envelope::CE_TIME),
            tenant: header(envelope::TENANT).parse().ok(),
            body: message.payload.clone(),
        }))
    }
}

impl Nats {
    /// Reads `EVENTS` from after a place, or from now on.
    pub async fn tail_events(
        &self,
        filters: Vec<String>,
        after: Option<u64>,
    ) -> Result<EventTail, TailError> {
        let stream = self.jetstream.get_stream_no_info(Stream::Events.name()).await?;
        let config = pull::OrderedConfig {
            // Permissions cover named consumers only. A reader that is slow has this many events waiting here.
            name: Some(format!("tail-{}", Uuid::new_v4().simple())),
            max_batch: TAIL_BATCH,
            filter_subjects: filters,
            deliver_policy: match after {
                Some(sequence) => {
                    DeliverPolicy::ByStartSequence { start_sequence: sequence.saturating_add(1) }
                }
                None => DeliverPolicy::New,
            },
            replay_policy: ReplayPolicy::Instant,
            ..pull::OrderedConfig::default()
        };
        let consumer = stream.create_consumer(config).await?;
        let messages = consumer.messages().await?.boxed();
        Ok(EventTail { messages })
    }

    /// The first and last places of `EVENTS`.
    pub async fn events_bounds(&self) -> Result<(u64, u64), TailError> {
        let stream = self.jetstream.get_stream(Stream::Events.name()).await?;
        let state = &stream.cached_info().state;
        Ok((state.first_sequence, state.last_sequence))
    }

    /// Reads a subject as it is published, without a stream: what an operator's terminal shows.
    pub async fn tail_subject(
        &self,
        subject: &str,
    ) -> Result<BoxStream<'static, crate::envelope::Received>, TailError> {
        let subscription = self.client.subscribe(subject.to_owned()).await?;
        Ok(subscription
            .map(|message| {
                let headers = header_values(message.headers.as_ref());
                crate::envelope::Received {
                    subject: message.subject.to_string(),
                    key: headers.get(envelope::CE_ID).cloned().unwrap_or_default(),
                    headers,
                    body: message.payload,
                    deliveries: 1,
                    consumer: String::new(),
                }
            })
            .boxed())
    }
}
