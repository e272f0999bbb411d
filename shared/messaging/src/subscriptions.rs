//! Everything a service reacts to, as a table: one line per message.

use std::sync::Arc;

use contracts::{
    Command, Event, Job, Message, Query, Service, State,
    outbox::RepublishOutbox,
    parked::{DismissParked, GetParked, ListParked, PerService, ReplayParked},
    streams::{self, Stream},
};
use futures::future::BoxFuture;
use sqlx::{PgConnection, PgPool};

use crate::{
    consume,
    envelope::Received,
    follow::{self, Follow},
    handlers::{Answer, Execute, Handle, Perform, Restate},
    outcome::{HandlerError, Outcome, Refusal},
    request::Replied,
    serve::{self, Asked},
};

/// What a running subscription works with.
pub(crate) struct Context<S> {
    pub service: Service,
    pub state: Arc<S>,
    pub pool: PgPool,
    pub subscriptions: Arc<Subscriptions<S>>,
}

impl<S> Clone for Context<S> {
    fn clone(&self) -> Self {
        Self {
            service: self.service,
            state: Arc::clone(&self.state),
            pool: self.pool.clone(),
            subscriptions: Arc::clone(&self.subscriptions),
        }
    }
}

pub(crate) type Respond<S> = fn(Context<S>, Asked) -> BoxFuture<'static, Result<Replied, Refusal>>;
pub(crate) type HandleInTx<S> =
    for<'a> fn(&'a S, &'a mut PgConnection, &'a Received) -> BoxFuture<'a, Result<Outcome, HandlerError>>;
pub(crate) type PerformOutside<S> =
    for<'a> fn(&'a Context<S>, &'a Received) -> BoxFuture<'a, Result<Outcome, HandlerError>>;

pub(crate) type RestateAll<S> =
    for<'a> fn(&'a S, &'a mut PgConnection) -> BoxFuture<'a, Result<u64, Refusal>>;

pub(crate) struct Request<S> {
    pub subject: String,
    pub respond: Respond<S>,
}

pub(crate) enum How<S> {
    /// In one transaction with the inbox row; many messages share it.
    InTx(HandleInTx<S>),
    /// With a call outside Postgres between two transactions; one at a time.
    Outside(PerformOutside<S>),
}

pub(crate) struct Delivery<S> {
    pub subject: &'static str,
    pub stream: Stream,
    pub consumer: String,
    pub how: How<S>,
}

/// A stream that is followed in order.
pub(crate) struct Followed<S> {
    pub stream: Stream,
    pub subjects: &'static [&'static str],
    pub consumer: String,
    pub run: follow::Run<S>,
    pub handle: HandleInTx<S>,
}

/// The table of one service.
pub struct Subscriptions<S> {
    pub(crate) service: Service,
    pub(crate) requests: Vec<Request<S>>,
    pub(crate) deliveries: Vec<Delivery<S>>,
    pub(crate) followed: Vec<Followed<S>>,
    pub(crate) restate: Option<RestateAll<S>>,
    published: Vec<&'static str>,
}

impl<S: Send + Sync + 'static> Subscriptions<S> {
    /// A table that answers for parked messages and the outbox, as every service does, and nothing else yet.
    pub fn new(service: Service) -> Self {
        let per_service = |subject: String, respond: Respond<S>| Request { subject, respond };
        Self {
            service,
            requests: vec![
                per_service(ListParked::subject(service), serve::list_parked),
                per_service(GetParked::subject(service), serve::get_parked),
                per_service(ReplayParked::subject(service), serve::replay_parked),
                per_service(DismissParked::subject(service), serve::dismiss_parked),
                per_service(RepublishOutbox::subject(service), serve::republish_outbox),
            ],
            deliveries: Vec::new(),
            followed: Vec::new(),
            restate: None,
            published: Vec::new(),
        }
    }

    /// Carries out `C`.
    #[must_use]
    pub fn command<C: Command>(mut self) -> Self
    where
        S: Execute<C>,
    {
        self.requests.push(Request { subject: C::SUBJECT.to_owned(), respond: serve::command::<S, C> });
        self
    }

    /// Answers `Q`.
    #[must_use]
    pub fn query<Q: Query>(mut self) -> Self
    where
        S: Answer<Q>,
    {
        self.requests.push(Request { subject: Q::SUBJECT.to_owned(), respond: serve::query::<S, Q> });
        self
    }

    /// Does `J` when its turn comes.
    #[must_use]
    pub fn job<J: Job>(mut self) -> Self
    where
        S: Perform<J>,
    {
        self.deliver::<J>(Stream::Jobs, How::Outside(consume::perform::<S, J>));
        self
    }

    /// Follows the last state of an entity.
    #[must_use]
    pub fn state<M: State>(mut self) -> Self
    where
        S: Handle<M>,
    {
        let stream = Stream::ALL
            .into_iter()
            .find(|stream| stream.compacts().is_some_and(|(_, into)| into.starts_with(M::SUBJECT)))
            .expect("every state is compacted into a stream; tests/repo checks it");
        self.deliver::<M>(stream, How::InTx(consume::handle::<S, M>));
        self
    }

    /// Follows every state of an entity, not just the last: reads all events behind the compacted stream.
    #[must_use]
    pub fn history<M: State>(mut self) -> Self
    where
        S: Handle<M>,
    {
        let consumer = streams::history_consumer_name(self.service, M::SUBJECT);
        let how = How::InTx(consume::handle::<S, M>);
        self.deliveries.push(Delivery { subject: M::SUBJECT, stream: Stream::Events, consumer, how });
        self
    }

    /// Follows a stream of somebody else's in order; `subjects` are what it carries.
    #[must_use]
    pub fn follows(mut self, stream: Stream, subjects: &'static [&'static str]) -> Self
    where
        S: Follow,
    {
        let consumer = streams::follower_name(self.service, stream);
        let (run, handle) = (follow::run::<S> as follow::Run<S>, follow::handle::<S> as HandleInTx<S>);
        self.followed.push(Followed { stream, subjects, consumer, run, handle });
        self
    }

    /// Follows a republished outbox with the present state of what is compacted.
    #[must_use]
    pub fn restates(mut self) -> Self
    where
        S: Restate,
    {
        self.restate = Some(|state, tx| Box::pin(state.restate(tx)));
        self
    }

    /// Says that the service publishes `E`; for the catalogue.
    #[must_use]
    pub fn publishes<E: Event>(mut self) -> Self {
        self.published.push(E::SUBJECT);
        self
    }

    fn deliver<M: Message>(&mut self, stream: Stream, how: How<S>) {
        let consumer = streams::consumer_name(self.service, M::SUBJECT);
        self.deliveries.push(Delivery { subject: M::SUBJECT, stream, consumer, how });
    }

    /// The subjects that are answered or consumed, for the catalogue.
    pub fn handled(&self) -> Vec<String> {
        let requests = self.requests.iter().map(|request| request.subject.clone());
        let followed = self.followed.iter().flat_map(|followed| followed.subjects).map(|s| (*s).to_owned());
        let delivered = self.deliveries.iter().map(|delivery| delivery.subject.to_owned());
        requests.chain(delivered).chain(followed).collect()
    }

    /// The subjects that are published, for the catalogue.
    pub fn published(&self) -> &[&'static str] {
        &self.published
    }
}
