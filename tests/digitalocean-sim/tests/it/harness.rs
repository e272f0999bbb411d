//! A running simulator and the calls a test makes of it.

use digitalocean_sim::{Options, Simulator};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

pub const TOKEN: &str = "dop_v1_test";

/// A simulator on free ports whose clock the test moves.
pub struct Harness {
    pub sim: Simulator,
    pub http: reqwest::Client,
}

/// An answer: status, JSON body (null when there is none), and headers.
#[derive(Debug)]
pub struct Seen {
    pub status: u16,
    pub body: Value,
    pub text: String,
    pub headers: reqwest::header::HeaderMap,
}

impl Seen {
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.body
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Harness {
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn demo() -> Self {
        Self::with(Options { demo: true, ..Options::default() }).await
    }

    pub async fn with(options: Options) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        Self {
            sim: Simulator::start(options).await.expect("the simulator starts"),
            http: http.build().expect("a client"),
        }
    }

    /// A call that may end without an answer.
    pub async fn try_call(&self, method: &str, path: &str, body: &Value) -> reqwest::Result<Seen> {
        self.try_call_as(Some(TOKEN), method, path, body).await
    }

    pub async fn try_call_as(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: &Value,
    ) -> reqwest::Result<Seen> {
        let method: Method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("{}{path}", self.sim.url()));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        seen(request.send().await?).await
    }

    pub async fn call(&self, method: &str, path: &str, body: Value) -> Seen {
        self.try_call(method, path, &body).await.expect("an answer")
    }

    pub async fn get(&self, path: &str) -> Seen {
        self.call("GET", path, Value::Null).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Seen {
        self.call("POST", path, body).await
    }

    pub async fn delete(&self, path: &str) -> Seen {
        self.call("DELETE", path, Value::Null).await
    }

    pub async fn control(&self, method: &str, path: &str, body: Value) -> Seen {
        let method: Method = method.parse().expect("a method");
        let request = self.http.request(method, format!("{}{path}", self.sim.control_url()));
        seen(request.json(&body).send().await.expect("an answer")).await.expect("a body")
    }

    /// Lets provider time pass.
    pub async fn advance(&self, seconds: u64) {
        self.control("POST", "/sim/clock", json!({"advance_s": seconds})).await.expect(200);
    }

    pub async fn fault(&self, fault: Value) {
        self.control("POST", "/sim/faults", fault).await.expect(200);
    }

    pub async fn state(&self) -> Value {
        self.control("GET", "/sim/state", Value::Null).await.expect(200)
    }

    /// A droplet that is up.
    pub async fn droplet(&self, name: &str) -> i64 {
        let order = json!({"name": name, "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64", "tags": ["t"]});
        let body = self.post("/v2/droplets", order).await.expect(202);
        self.advance(60).await;
        body["droplet"]["id"].as_i64().expect("an id")
    }
}

async fn seen(response: reqwest::Response) -> reqwest::Result<Seen> {
    let status: StatusCode = response.status();
    let headers = response.headers().clone();
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or_default();
    Ok(Seen { status: status.as_u16(), body, text, headers })
}
