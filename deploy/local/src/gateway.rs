//! Our own commands' way to the running gateway: its HTTP API, as an operator.

use crate::environment;
use crate::state::StateDir;
use anyhow::{Context, bail};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// No answer of the gateway takes longer, unless it hangs.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The most items of a page.
const PAGE: &str = "200";

/// The gateway as its users see it.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Its address.
    pub url: String,
    /// Opens everything.
    pub operator_token: String,
    client: reqwest::Client,
}

/// One page of any listing.
#[derive(Debug, Deserialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Asks for the next page; absent on the last.
    #[serde(default = "Option::default")]
    pub next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

impl Gateway {
    /// At this address.
    pub fn new(url: impl Into<String>, operator_token: impl Into<String>) -> Gateway {
        Gateway { url: url.into(), operator_token: operator_token.into(), client: reqwest::Client::new() }
    }

    /// The one of a running system.
    pub fn of(state: Option<&Path>) -> anyhow::Result<Gateway> {
        let state = StateDir::open(state)?;
        let variables = environment::read(&state.env_file())?;
        let take = |name: &str| {
            let missing = || format!("{} has no {name}; is the system running?", state.env_file().display());
            variables.get(name).with_context(missing)
        };
        Ok(Gateway::new(take("GATEWAY_URL")?, take("OPERATOR_TOKEN")?))
    }

    /// Asks for something.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<T> {
        self.send(Method::GET, path, query, None).await
    }

    /// Tells it to do something that needs no body.
    pub async fn post<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.send(Method::POST, path, &[], None).await
    }

    /// Tells it to do something with a body.
    pub async fn post_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let body = serde_json::to_value(body).with_context(|| format!("write the body for {path}"))?;
        self.send(Method::POST, path, &[], Some(body)).await
    }

    /// Every item of a listing, page by page.
    pub async fn all<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> anyhow::Result<Vec<T>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.push(("limit", PAGE));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: Page<T> = self.get(path, &query).await?;
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(items);
            }
        }
    }

    /// How many resources of each kind the inventory holds.
    pub async fn resources_by_kind(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut counts = BTreeMap::new();
        for item in self.all::<Kind>("/api/v1/inventory", &[]).await? {
            *counts.entry(item.kind).or_default() += 1;
        }
        Ok(counts)
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<Value>,
    ) -> anyhow::Result<T> {
        let asking = || format!("{method} {path} at {}", self.url);
        let mut url = url::Url::parse(&self.url).with_context(asking)?;
        url.set_path(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request =
            self.client.request(method.clone(), url).bearer_auth(&self.operator_token).timeout(TIMEOUT);
        if method == Method::POST {
            request = request.header("Idempotency-Key", uuid::Uuid::new_v4().to_string());
        }
        if let Some(body) = &body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(asking)?;
        let status = response.status();
        let body = response.text().await.with_context(asking)?;
        if !status.is_success() {
            bail!("{}: {status}: {body}", asking());
        }
        serde_json::from_str(&body).with_context(|| format!("read the answer of {}", asking()))
    }
}
