//! Tokens as arcadia-app would issue them.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// The secret tests share with the gateway.
pub const SECRET: &str = "test-secret-of-a-decent-length-0123456789-0123456789-0123456789-abcdef";

/// Good claims of one subject, to be spoilt by whoever tests refusals.
pub fn claims(tenant: &str, roles: &[&str]) -> Value {
    let now = chrono::Utc::now().timestamp();
    json!({
        "iss": "arcadia", "aud": "arcadia", "sub": format!("user-of-{tenant}"), "typ": "access",
        "jti": uuid::Uuid::new_v4().to_string(), "iat": now, "nbf": now - 1, "exp": now + 3600,
        "tenant_id": tenant, "roles": roles,
    })
}

/// Signs claims.
pub fn sign(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS512), claims, &key).expect("claims can be signed")
}

/// A tenant's token.
pub fn tenant(tenant: &str) -> String {
    sign(&claims(tenant, &["member"]))
}

/// An operator's token.
pub fn operator() -> String {
    sign(&claims("platform-admin", &["platform-admin"]))
}

/// The LLM gateway's token.
pub fn llm_gateway() -> String {
    sign(&claims("llm-gateway", &["llm-gateway"]))
}
