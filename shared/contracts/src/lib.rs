//! What is said between services: plain data, once per message, in the file of the service that owns it.
//!
//! Not for behaviour: nothing here opens a connection, reads a clock or knows a table. A subject literal
//! stands once, on its type; streams, consumers, permissions, the catalogue and the AsyncAPI document are
//! derived from [`catalogue`] and [`streams`].

/// Gives a query its subject and the type of its answer; the field `scope` says whose rows it may see.
macro_rules! query {
    ($query:ty => $reply:ty, $subject:literal) => {
        impl $crate::Message for $query {
            const SUBJECT: &'static str = $subject;
        }

        impl $crate::Query for $query {
            type Reply = $reply;

            fn scope(&self) -> &$crate::Scope {
                &self.scope
            }
        }
    };
}

/// Gives a command its subject and the type of its answer.
macro_rules! command {
    ($command:ty => $reply:ty, $subject:literal) => {
        impl $crate::Message for $command {
            const SUBJECT: &'static str = $subject;
        }

        impl $crate::Command for $command {
            type Reply = $reply;
        }
    };
}

pub mod asyncapi;
pub mod catalogue;
pub mod envelope;
pub mod ids;
pub mod outbox;
pub mod paging;
pub mod parked;
pub mod permissions;
pub mod problem;
pub mod scope;
pub mod streams;
pub mod subject;

pub mod biller;
pub mod llm_gateway;
pub mod meterer;
pub mod saga_orchestrator;
pub mod syncer;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

pub use catalogue::Service;
pub use ids::TenantId;
pub use problem::Problem;
pub use scope::{Actor, Scope};

/// A value that travels on a subject.
pub trait Message: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// `<kind>.<owner>.<entity>.<verb>.v<N>`, without the trailing id.
    const SUBJECT: &'static str;
}

/// Something that happened; published by its owner from the outbox.
pub trait Event: Message {
    /// The last token of the subject, where someone filters or compacts by it.
    fn key(&self) -> Option<String> {
        None
    }

    /// The tenant who may read the event; `None`: operators only.
    fn tenant(&self) -> Option<&TenantId> {
        None
    }
}

/// A question; answering it changes nothing.
pub trait Query: Message {
    /// The body of a successful answer.
    type Reply: Serialize + DeserializeOwned + JsonSchema + Send + 'static;

    /// Whose rows may be seen. Only the gateway fills it.
    fn scope(&self) -> &Scope;
}

/// An order; the same idempotency key again gets the stored reply.
pub trait Command: Message {
    /// The body of a successful answer.
    type Reply: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
}

/// Work for whichever replica is free; kept in a work queue until it is acknowledged.
pub trait Job: Message {}

/// The last state of an entity, in a compacted stream: what a new read model starts from.
pub trait State: Message {}
