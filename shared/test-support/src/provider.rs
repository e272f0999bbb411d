//! The DigitalOcean simulator as a process.

use serde_json::{Value, json};

use crate::{programs::Program, waiting::eventually};

/// The token tests use.
pub const TOKEN: &str = "dop_v1_test";

/// A running simulator and its control port.
pub struct Provider {
    program: Program,
    /// Where clients find the API.
    pub url: String,
    /// Where tests find the control port.
    pub control_url: String,
    client: reqwest::Client,
}

impl Provider {
    /// Starts a simulator without rate limits and with an empty account.
    pub async fn start() -> Self {
        Self::start_with(&["--burst-per-minute", "0", "--per-hour", "0", "--time-scale", "100"]).await
    }

    /// Starts a simulator with these arguments.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let mut all = vec!["--addr", "127.0.0.1:0", "--control-addr", "127.0.0.1:0"];
        all.extend(arguments);
        let program = Program::start("digitalocean-sim", &all, []);
        let addresses: Value = eventually("the simulator says where it is", || async {
            let printed = program.printed();
            let line = printed.lines().find(|line| line.contains("control_url")).unwrap_or_default();
            serde_json::from_str(line).map_err(|error| format!("{error}: {printed}"))
        })
        .await;
        let address = |name: &str| addresses[name].as_str().expect("an address").to_owned();
        let (url, control_url) = (address("url"), address("control_url"));
        Self { program, url, control_url, client: reqwest::Client::new() }
    }

    /// The process.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Calls the control port; panics unless it is content.
    pub async fn control(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.client.request(method, format!("{}{path}", self.control_url));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.expect("the control port answers");
        let status = answer.status();
        let text = answer.text().await.expect("the control port's answer can be read");
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Replaces the account.
    pub async fn account(&self, account: &Value) {
        self.control("POST", "/sim/account", Some(account)).await;
    }

    /// Makes calls fail.
    pub async fn faults(&self, faults: &Value) {
        self.control("POST", "/sim/faults", Some(faults)).await;
    }

    /// Makes every call succeed again.
    pub async fn heal(&self) {
        self.control("DELETE", "/sim/faults", None).await;
    }

    /// The whole account.
    pub async fn state(&self) -> Value {
        self.control("GET", "/sim/state", None).await
    }

    /// What syncer needs to reach it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("DIGITALOCEAN_URL", self.url.clone()),
            ("DO_API_TOKEN", TOKEN.to_owned()),
            ("DO_BUDGET_PER_MINUTE", "1000000".to_owned()),
            ("DO_BUDGET_PER_HOUR", "10000000".to_owned()),
        ]
    }
}

/// A small account: five droplets, a zone, a volume, a snapshot, in two projects.
pub fn small_account() -> Value {
    json!({ "droplets": 5, "zones": 1, "volumes": 1, "snapshots": 1, "projects": ["acme-prod", "globex-prod"] })
}
