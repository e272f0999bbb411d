//! The intake seen from outside.

use std::time::{SystemTime, UNIX_EPOCH};

use finance_sim::{Options, Simulator};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

const SECRET: &str = "a secret of the finance department, long enough";
const INVOICE: &str = "/api/v1/integrations/cloud/import-invoice";
const RECEIVABLE: &str = "/api/v1/integrations/cloud/import-receivable";

struct Finance {
    sim: Simulator,
    http: reqwest::Client,
}

impl Finance {
    async fn start() -> Self {
        let options = Options {
            addr: "127.0.0.1:0".parse().unwrap(),
            control_addr: "127.0.0.1:0".parse().unwrap(),
            jwt_secret: SECRET.into(),
        };
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { sim: Simulator::start(options).await.unwrap(), http }
    }

    async fn post_as(&self, token: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.sim.url())).bearer_auth(token).json(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.post_as(&token(SECRET, Algorithm::HS512, &admin(60)), path, body).await
    }

    async fn fault(&self, fault: Value) -> u16 {
        let request = self.http.post(format!("{}/sim/faults", self.sim.control_url())).json(&fault);
        request.send().await.unwrap().status().as_u16()
    }

    async fn control(&self, path: &str) -> Value {
        self.http.get(format!("{}{path}", self.sim.control_url())).send().await.unwrap().json().await.unwrap()
    }
}

fn admin(expires_in_s: i64) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let now = i64::try_from(now).unwrap();
    json!({"tenant_id": "platform-admin", "roles": ["admin"], "nbf": now - 60, "exp": now + expires_in_s,
           "aud": "arcadia-finance", "sub": "service:biller"})
}

fn token(secret: &str, algorithm: Algorithm, claims: &Value) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

fn april() -> Value {
    json!({"tenant_id": "platform-admin", "source": "digitalocean", "external_id": "bf8c59bb", "currency": "USD",
           "net_minor": 7902, "tax_minor": 790, "gross_minor": 8692})
}

#[tokio::test]
async fn an_invoice_is_created_once_and_then_updated() {
    let finance = Finance::start().await;
    let (status, created) = finance.post(INVOICE, &april()).await;
    assert_eq!((status, &created["status"]), (201, &json!("created")));
    let (status, updated) = finance.post(INVOICE, &april()).await;
    assert_eq!((status, &updated["status"]), (200, &json!("updated")));
    assert_eq!(created["finance_invoice_id"], updated["finance_invoice_id"]);
    // The other side is another ledger, and so is another tenant.
    assert_eq!(finance.post(RECEIVABLE, &april()).await.0, 201);
    let mut other = april();
    other["tenant_id"] = json!("acme");
    assert_eq!(finance.post(INVOICE, &other).await.0, 201);
    let state = finance.control("/sim/state").await;
    assert_eq!(
        (&state["invoices"][0]["times"], &state["invoices"][0]["gross_minor"]),
        (&json!(2), &json!(8692))
    );
    assert_eq!(state["receivables"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_does_not_add_up_is_refused_by_field() {
    let finance = Finance::start().await;
    for (field, value) in [
        ("tenant_id", json!("")),
        ("source", Value::Null),
        ("external_id", json!(7)),
        ("currency", json!("usd")),
        ("net_minor", json!(79.02)),
        ("tax_minor", json!("790")),
        ("gross_minor", json!(1)),
        ("lines", json!({})),
    ] {
        let mut invoice = april();
        invoice[field] = value;
        let (status, body) = finance.post(INVOICE, &invoice).await;
        assert_eq!(status, 422, "{field}");
        assert!(body["errors"][field].is_array(), "{field}: {body}");
    }
    assert_eq!(finance.post(INVOICE, &json!([])).await.0, 400);
    assert_eq!(finance.control("/sim/state").await["invoices"], json!([]));
}

#[tokio::test]
async fn only_the_platforms_admin_may_post() {
    let finance = Finance::start().await;
    let mut tenant = admin(60);
    tenant["tenant_id"] = json!("acme");
    let mut reader = admin(60);
    reader["roles"] = json!(["viewer"]);
    let mut future = admin(600);
    future["nbf"] = json!(admin(120)["exp"]);
    for (token, status) in [
        (token(SECRET, Algorithm::HS512, &tenant), 403),
        (token(SECRET, Algorithm::HS512, &reader), 403),
        (token("another secret", Algorithm::HS512, &admin(60)), 401),
        (token(SECRET, Algorithm::HS256, &admin(60)), 401),
        (token(SECRET, Algorithm::HS512, &admin(-60)), 401),
        (token(SECRET, Algorithm::HS512, &future), 401),
        ("none".to_owned(), 401),
    ] {
        assert_eq!(finance.post_as(&token, INVOICE, &april()).await.0, status);
    }
}

#[tokio::test]
async fn faults_strike_as_often_as_asked() {
    let finance = Finance::start().await;
    assert_eq!(finance.fault(json!({"times": 1})).await, 422);
    assert_eq!(finance.fault(json!({"status": 7})).await, 422);
    assert_eq!(finance.fault(json!({"sulk": true})).await, 422);
    assert_eq!(finance.fault(json!({"status": 503, "times": 1})).await, 200);
    assert_eq!(finance.fault(json!({"commit_then_500": true, "times": 1})).await, 200);
    assert_eq!(finance.post(INVOICE, &april()).await.0, 503);
    assert_eq!(finance.control("/sim/state").await["invoices"], json!([]));
    assert_eq!(finance.post(INVOICE, &april()).await.0, 500);
    // It was taken all the same.
    assert_eq!(finance.post(INVOICE, &april()).await.1["status"], "updated");
    let log = finance.control("/sim/log").await;
    let calls: Vec<_> =
        log["calls"].as_array().unwrap().iter().map(|call| (&call["status"], &call["taken"])).collect();
    let expected = json!([[503, null], [500, "created"], [200, "updated"]]);
    assert_eq!(json!(calls), expected);
}
