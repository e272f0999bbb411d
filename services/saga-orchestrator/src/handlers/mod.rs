//! Everything this service reacts to: parked messages and its outbox, as every service does. Sagas come with
//! their own messages.

use contracts::Service;
use messaging::Subscriptions;

use crate::SagaOrchestrator;

/// The table.
pub fn subscriptions() -> Subscriptions<SagaOrchestrator> {
    Subscriptions::new(Service::SagaOrchestrator)
}
