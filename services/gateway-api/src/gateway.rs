//! What every handler needs.

use axum::extract::FromRef;
use messaging::Nats;
use tokio_util::sync::CancellationToken;

use crate::{
    auth::{Keys, Verifier},
    events::Slots,
};

/// What every handler needs; cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    /// Judge tokens.
    pub keys: Keys,
    /// The way to the services.
    pub nats: Nats,
    /// Who reads events, and how many of them.
    pub slots: Slots,
    /// Cancelled when this process was told to stop.
    pub draining: CancellationToken,
}

impl Gateway {
    /// A gateway with nobody reading events yet.
    pub fn new(verifier: Verifier, nats: Nats, draining: CancellationToken) -> Self {
        Self { keys: Keys::new(verifier), nats, slots: Slots::default(), draining }
    }
}

impl FromRef<Gateway> for Nats {
    fn from_ref(gateway: &Gateway) -> Self {
        gateway.nats.clone()
    }
}
