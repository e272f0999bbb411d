//! Who may post: the bearer of a short-lived HS512 token with the identity of the platform's admin.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

/// Tenant of the one identity that may post.
const TENANT: &str = "platform-admin";
/// Its role.
const ROLE: &str = "admin";
/// Clocks may differ by this much.
const LEEWAY_S: u64 = 5;

#[derive(Debug, Deserialize)]
struct Claims {
    tenant_id: String,
    #[serde(default)]
    roles: Vec<String>,
}

/// Why a caller is turned away.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Denied {
    /// No token, or not one that was signed with our secret and is in force.
    #[error("token is missing or not valid")]
    Unauthenticated,
    /// A valid token of somebody else.
    #[error("identity may not post")]
    Forbidden,
}

/// Checks the value of an Authorization header.
pub fn check(authorization: Option<&str>, secret: &str) -> Result<(), Denied> {
    let token =
        authorization.and_then(|value| value.strip_prefix("Bearer ")).ok_or(Denied::Unauthenticated)?;
    let mut validation = Validation::new(Algorithm::HS512);
    validation.leeway = LEEWAY_S;
    validation.validate_nbf = true;
    // The audience is the caller's own precaution; finance does not look at it.
    validation.validate_aud = false;
    let key = DecodingKey::from_secret(secret.as_bytes());
    let claims = decode::<Claims>(token, &key, &validation).map_err(|_| Denied::Unauthenticated)?.claims;
    if claims.tenant_id == TENANT && claims.roles.iter().any(|role| role == ROLE) {
        Ok(())
    } else {
        Err(Denied::Forbidden)
    }
}
