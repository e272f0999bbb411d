//! Tokens, a gateway in this process, and what it answers.

use std::sync::Arc;

use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_api::{
    auth::{Settings, Verifier},
    edge::{Cors, Edge},
    gateway::Gateway,
    server::{self, Listening},
};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use messaging::Nats;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub const SECRET: &str = "a-secret-for-tests-of-the-gateway-that-is-sixty-four-bytes-long!";
pub const PREVIOUS: &str = "the-secret-before-that-one-which-is-also-sixty-four-bytes-long!!";

pub fn settings() -> Settings {
    Settings {
        secret: SECRET.to_owned().into(),
        previous: Some(PREVIOUS.to_owned().into()),
        issuer: "arcadia".to_owned(),
        audience: "arcadia".to_owned(),
        leeway_seconds: 5,
    }
}

/// Signs a header and claims as they are written, whatever they say.
pub fn sign(header: &str, claims: &str, secret: &str, algorithm: Algorithm) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature =
        crypto::sign(message.as_bytes(), &EncodingKey::from_secret(secret.as_bytes()), algorithm).unwrap();
    format!("{message}.{signature}")
}

pub fn claims(now: u64) -> Value {
    json!({
        "iss": "arcadia", "aud": "arcadia", "sub": "user-1", "typ": "access",
        "jti": "8f0e2f0c-5f6e-4b0e-9d8a-0d3f6b1a2c3d", "tenant_id": "acme", "roles": ["member"],
        "iat": now, "nbf": now - 1, "exp": now + 3600,
    })
}

pub fn now() -> u64 {
    gateway_api::clock::unix_seconds()
}

/// A token that is valid now.
pub fn token(tenant: &str, roles: &[&str]) -> String {
    let mut claims = claims(now());
    claims["tenant_id"] = json!(tenant);
    claims["roles"] = json!(roles);
    sign(r#"{"alg":"HS512","typ":"JWT"}"#, &claims.to_string(), SECRET, Algorithm::HS512)
}

pub fn operator() -> String {
    token("platform-admin", &["platform-admin"])
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The status, once it is sure that the answer is a problem of our shape when it is an error.
    pub fn checked(&self) -> u16 {
        assert!(!self.header("x-request-id").is_empty(), "no request id: {}", self.text());
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        if self.status.is_client_error() || self.status.is_server_error() {
            assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
            let problem = self.json();
            assert_eq!(problem["status"], json!(self.status.as_u16()));
            assert_eq!(problem["instance"], json!(self.header("x-request-id")));
            assert!(problem["title"].is_string() && problem["type"].is_string(), "{problem}");
        }
        self.status.as_u16()
    }

    /// The refused fields.
    pub fn fields(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }
}

/// A gateway whose NATS is nowhere: everything that is refused before a message is sent.
pub async fn edge(cors: Cors) -> Arc<Edge> {
    Arc::new(Edge::new(&gateway(nowhere().await, CancellationToken::new()), cors))
}

async fn nowhere() -> Nats {
    let settings = messaging::Settings {
        url: "nats://127.0.0.1:9".to_owned(),
        user: "gateway-api".to_owned(),
        password: "none".to_owned().into(),
    };
    Nats::connect(settings).await.unwrap()
}

fn gateway(nats: Nats, draining: CancellationToken) -> Gateway {
    Gateway::new(Verifier::new(&settings(), now()).unwrap(), nats, draining)
}

pub async fn send(edge: &Edge, request: Request<Body>) -> Answer {
    let response = edge.answer(request).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// A request with a host, as every client sends one.
pub fn request(method: &str, target: &str) -> http::request::Builder {
    Request::builder().method(method).uri(target).header("host", "localhost")
}

/// A gateway on a port of this process.
pub struct Served {
    pub addr: std::net::SocketAddr,
    pub shutdown: CancellationToken,
    pub task: tokio::task::JoinHandle<()>,
}

pub async fn serve() -> Served {
    serve_on(nowhere().await).await
}

pub async fn serve_on(nats: Nats) -> Served {
    let shutdown = CancellationToken::new();
    let edge = Arc::new(Edge::new(&gateway(nats, shutdown.clone()), Cors::Development));
    let listening = Listening::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addr = listening.addr().unwrap();
    let task = tokio::spawn(server::serve(listening, edge, shutdown.clone()));
    Served { addr, shutdown, task }
}
