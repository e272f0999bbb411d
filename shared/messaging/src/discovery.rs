//! Who is there: the running services with what they answer, as the NATS services API tells it.

use std::time::Duration;

use contracts::permissions;
use futures::StreamExt;
use serde::Deserialize;

use crate::{connection::Nats, tail::TailError};

/// One running replica.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunningService {
    /// The service's name.
    pub name: String,
    /// The replica's id.
    pub id: String,
    /// The subjects it answers.
    pub endpoints: Vec<String>,
}

#[derive(Deserialize)]
struct Info {
    name: String,
    id: String,
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    subject: String,
}

/// How long replicas have to say that they are there.
const COLLECT: Duration = Duration::from_millis(300);

impl Nats {
    /// Every replica that answers `$SRV.INFO`, by name.
    pub async fn services(&self) -> Result<Vec<RunningService>, TailError> {
        let inbox = format!("{}.{}", permissions::inbox_prefix(&self.user), uuid::Uuid::new_v4().simple());
        let mut answers = self.client.subscribe(inbox.clone()).await?;
        self.client.publish_with_reply("$SRV.INFO", inbox, "".into()).await?;
        let mut services = Vec::new();
        while let Ok(Some(answer)) = tokio::time::timeout(COLLECT, answers.next()).await {
            if let Ok(Info { name, id, endpoints }) = serde_json::from_slice(&answer.payload) {
                let endpoints = endpoints.into_iter().map(|endpoint| endpoint.subject).collect();
                services.push(RunningService { name, id, endpoints });
            }
        }
        services.sort();
        Ok(services)
    }
}
