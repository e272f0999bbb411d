//! The verifier in force: exchanged when secrets are rotated, while requests go on.

use std::sync::Arc;

use tokio::sync::watch;

use super::Verifier;

/// The verifier in force. Clones share it.
#[derive(Clone)]
pub struct Keys(Arc<watch::Sender<Arc<Verifier>>>);

impl Keys {
    /// Starts with a verifier.
    pub fn new(verifier: Verifier) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(verifier))))
    }

    /// The verifier in force.
    pub fn current(&self) -> Arc<Verifier> {
        Arc::clone(&self.0.borrow())
    }

    /// Puts another in force, for every request from now on.
    pub fn replace(&self, verifier: Verifier) {
        self.0.send_replace(Arc::new(verifier));
    }

    /// Tells of replacements from now on: what was admitted once and goes on has to be admitted again.
    pub fn replacements(&self) -> watch::Receiver<Arc<Verifier>> {
        self.0.subscribe()
    }
}
