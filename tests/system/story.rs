//! The whole system of one test: simulator, syncer, gateway, and a client that speaks HTTP.

use std::time::Duration;

use contracts::Service;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use test_support::{Provider, World, programs::Program, tokens, within};

/// A running system. Whatever is killed or restarted in it is the test's to replace.
pub struct Story {
    pub world: World,
    pub provider: Provider,
    pub syncer: Program,
    _others: Vec<Program>,
    pub gateway: Program,
    pub url: String,
    client: reqwest::Client,
}

/// An answer as a test looks at it.
#[derive(Debug, Clone)]
pub struct Answered {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Story {
    /// Starts everything on an account.
    pub async fn begin(account: &Value) -> Self {
        let world = World::start().await;
        let provider = Provider::start().await;
        provider.account(account).await;
        let syncer = world.run(Service::Syncer, provider.environment());
        let others = [Service::Biller, Service::Meterer, Service::SagaOrchestrator];
        let others = others.into_iter().map(|service| world.run(service, Vec::new())).collect();
        let (gateway, url) = world.run_gateway().await;
        let story =
            Self { world, provider, syncer, _others: others, gateway, url, client: reqwest::Client::new() };
        within(Duration::from_secs(30), "every service answers", async || {
            for path in ["/api/v1/inventory/listings", "/api/v1/parked"] {
                let answer = story.get(path).await;
                if !answer.status.is_success() {
                    return Err(answer.body);
                }
            }
            Ok(())
        })
        .await;
        story
    }

    /// Sends a request; `token` of `None` sends none.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Answered {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.expect("the gateway answers");
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.expect("an answer can be read");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answered { status, headers, body }
    }

    /// Asks as an operator.
    pub async fn get(&self, path: &str) -> Answered {
        self.send(Method::GET, path, Some(&tokens::operator()), None).await
    }

    /// Asks as a tenant.
    pub async fn get_as(&self, tenant: &str, path: &str) -> Answered {
        self.send(Method::GET, path, Some(&tokens::tenant(tenant)), None).await
    }

    /// Orders as an operator; panics unless it is done.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.send(Method::POST, path, Some(&tokens::operator()), Some(body)).await;
        assert!(answer.status.is_success(), "{path}: {answer:?}");
        answer.body
    }

    /// How a listing stands.
    pub async fn listing(&self, listing: &str) -> Value {
        let listings = self.get("/api/v1/inventory/listings").await.body;
        let items = listings["items"].as_array().cloned().unwrap_or_default();
        items.into_iter().find(|status| status["listing"] == listing).unwrap_or_else(|| panic!("{listings}"))
    }

    /// Syncs a listing, waits until the attempt is over, completed or failed, and says how it stands.
    pub async fn sync(&self, listing: &str) -> Value {
        let done = self.jobs_done(listing).await;
        self.post(&format!("/api/v1/inventory/listings/{listing}/sync"), &json!({})).await;
        within(Duration::from_secs(30), "the sync is over", async || {
            if self.jobs_done(listing).await > done { Ok(()) } else { Err(self.listing(listing).await) }
        })
        .await;
        self.listing(listing).await
    }

    /// Syncs of a listing that are in the inbox.
    async fn jobs_done(&self, listing: &str) -> i64 {
        let mut superuser = self.world.superuser(Service::Syncer).await;
        sqlx::query_scalar("select count(*) from inbox where consumer = $1")
            .bind(format!("syncer-{}-sync", listing.replace('_', "-")))
            .fetch_one(&mut superuser)
            .await
            .expect("rows can be counted")
    }

    /// Every resource of the inventory, deleted ones too.
    pub async fn resources(&self, filter: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/api/v1/inventory?limit=200{filter}{cursor}")).await;
            assert!(page.status.is_success(), "{page:?}");
            items.extend(page.body["items"].as_array().expect("a page has items").iter().cloned());
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// Messages in syncer's outbox, published or not.
    pub async fn told(&self) -> i64 {
        let mut superuser = self.world.superuser(Service::Syncer).await;
        sqlx::query_scalar("select count(*) from outbox where subject like 'evt.%'")
            .fetch_one(&mut superuser)
            .await
            .expect("rows can be counted")
    }
}
