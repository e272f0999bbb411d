//! Development tokens, with the claims that the user-facing application writes.

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use contracts::TenantId;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use std::time::Duration;
use uuid::Uuid;

/// Makes the bearer an operator.
pub const OPERATOR_ROLE: &str = "platform-admin";

/// The gateway refuses tokens that live longer than this.
pub const TTL_MAX: Duration = Duration::from_secs(28 * 24 * 3600);

/// What a token should say.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// Whose data it opens.
    pub tenant: TenantId,
    /// Roles, [`OPERATOR_ROLE`] among them or not.
    pub roles: Vec<String>,
    /// How long it is good for.
    pub ttl: Duration,
    /// The issuer and, by default, the audience.
    pub issuer: String,
    /// The audience.
    pub audience: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: String,
    typ: &'static str,
    jti: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
    tenant_id: &'a TenantId,
    roles: &'a [String],
}

/// Signs a token that is good from now on.
pub fn mint(request: &TokenRequest, secret: &str, now: DateTime<Utc>) -> anyhow::Result<String> {
    ensure!(request.ttl <= TTL_MAX, "a token may live at most 28 days");
    let iat = now.timestamp();
    let claims = Claims {
        iss: &request.issuer,
        aud: &request.audience,
        sub: format!("developer:{}", request.tenant),
        typ: "access",
        jti: Uuid::new_v4(),
        iat,
        // The application's library writes it so; it forgives a second of clock difference.
        nbf: iat - 1,
        exp: iat + i64::try_from(request.ttl.as_secs())?,
        tenant_id: &request.tenant,
        roles: &request.roles,
    };
    // The key is the secret's own bytes; it is not base64, even where it looks like it.
    encode(&Header::new(Algorithm::HS512), &claims, &EncodingKey::from_secret(secret.as_bytes()))
        .context("sign the token")
}

/// Reads `90s`, `15m`, `12h` or `7d`.
pub fn parse_ttl(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write 90s, 15m, 12h or 7d");
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(wrong()),
    };
    number.checked_mul(seconds).filter(|s| *s > 0).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_number_and_a_unit() {
        assert_eq!(parse_ttl("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_ttl("7d"), Ok(Duration::from_secs(604_800)));
        for wrong in ["", "s", "12", "-1h", "0s", "1w", "99999999999999999999d", "9999999999999999d"] {
            assert!(parse_ttl(wrong).is_err(), "{wrong}");
        }
    }
}
