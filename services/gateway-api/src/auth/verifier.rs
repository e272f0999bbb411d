//! The verifier: which tokens are ours. Stricter than the library's defaults and than the issuer itself.
//!
//! The library checks the signature, issuer and audience; header, types, times and lifetimes are checked
//! here, with the time as an argument, so that every boundary can be tested.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::TenantId;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de::IgnoredAny};

use super::{
    caller::Caller,
    secret::{self, WeakSecret},
};

/// Longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Longest time between issue and expiry: the issuer's default of four weeks.
const LIFETIME_SECONDS_MAX: u64 = 28 * 24 * 60 * 60;
/// Most roles of a token.
const ROLES_MAX: usize = 32;
/// Longest role, in bytes.
const ROLE_BYTES_MAX: usize = 64;
/// Longest subject, in characters.
const SUBJECT_CHARACTERS_MAX: usize = 255;

/// What the verifier compares with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The shared secret; its own bytes are the key, never decoded from base64.
    pub secret: SecretString,
    /// The secret before the last rotation, still taken.
    pub previous: Option<SecretString>,
    /// `iss`, exactly.
    pub issuer: String,
    /// `aud`, exactly.
    pub audience: String,
    /// How far clocks may differ, in seconds.
    pub leeway_seconds: u64,
}

/// The verifier cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VerifierError {
    /// A secret could be guessed.
    #[error("use the secret for tokens")]
    Weak(#[from] WeakSecret),
    /// A token made for the purpose was not signed.
    #[error("sign a token to test the verifier with")]
    Sign(#[source] jsonwebtoken::errors::Error),
    /// A token made for the purpose was refused.
    #[error("accept a token made to test the verifier with")]
    SelfTest(#[source] Reject),
}

/// Why a token is refused; for the metric alone, never for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.label())]
pub enum Reject {
    /// No `Authorization` header.
    Absent,
    /// Another scheme, several headers, or no token in it.
    Scheme,
    /// Longer than we read.
    TooLong,
    /// Not three parts, not base64url, not JSON.
    Malformed,
    /// A header parameter that changes how a token is read.
    Header,
    /// Another algorithm.
    Algorithm,
    /// Not signed with our secret.
    Signature,
    /// A claim is missing, of another type, twice, or out of its bounds.
    Claims,
    /// Issued by someone else.
    Issuer,
    /// Issued for someone else.
    Audience,
    /// No access token: a refresh token cannot be used to ask for data.
    Kind,
    /// Expired.
    Expired,
    /// Not valid yet, or issued in the future.
    Early,
    /// Valid for longer than any token may be.
    Lifetime,
    /// `tenant_id` is not one.
    Tenant,
    /// `sub` is empty, too long, or has control characters.
    Subject,
    /// Too many roles, or too long ones.
    Roles,
}

impl Reject {
    /// The label of the metric.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Scheme => "scheme",
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Header => "header",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Kind => "kind",
            Self::Expired => "expired",
            Self::Early => "early",
            Self::Lifetime => "lifetime",
            Self::Tenant => "tenant",
            Self::Subject => "subject",
            Self::Roles => "roles",
        }
    }
}

/// Every claim by its type: a duplicate, an array for a string or a float for a time does not parse.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    typ: String,
    #[serde(rename = "jti")]
    _jti: String,
    tenant_id: String,
    exp: u64,
    iat: u64,
    nbf: u64,
    roles: Vec<String>,
}

/// The header as we read it; `kid` and private parameters mean nothing to us.
#[derive(Deserialize)]
struct TokenHeader {
    alg: String,
    #[serde(default, deserialize_with = "text")]
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
    #[serde(default, deserialize_with = "present")]
    jku: bool,
    #[serde(default, deserialize_with = "present")]
    jwk: bool,
    #[serde(default, deserialize_with = "present")]
    x5u: bool,
    #[serde(default, deserialize_with = "present")]
    x5c: bool,
    #[serde(default, deserialize_with = "present")]
    zip: bool,
    #[serde(default, deserialize_with = "present")]
    enc: bool,
    #[serde(default, deserialize_with = "present")]
    cty: bool,
    #[serde(default, deserialize_with = "present")]
    b64: bool,
}

/// Present with whatever value, `null` included.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|IgnoredAny| true)
}

/// A string; `null` is not "absent".
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

/// Knows the secrets and what a token must say.
pub struct Verifier {
    keys: Vec<DecodingKey>,
    validation: Validation,
    leeway_seconds: u64,
}

impl Verifier {
    /// Builds the verifier and lets it judge tokens made with each secret.
    ///
    /// `now` is the time of that test, in seconds since 1970.
    pub fn new(settings: &Settings, now: u64) -> Result<Self, VerifierError> {
        // A second call finds the provider installed, which is as good.
        let _installed_before = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();

        let secrets: Vec<&SecretString> = [&settings.secret].into_iter().chain(&settings.previous).collect();
        for secret in &secrets {
            secret::check(secret)?;
        }
        let mut validation = Validation::new(Algorithm::HS512);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&[&settings.audience]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // The library has a clock of its own; ours is an argument.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let keys = secrets.iter().map(|s| DecodingKey::from_secret(s.expose_secret().as_bytes())).collect();
        let verifier = Self { keys, validation, leeway_seconds: settings.leeway_seconds };
        for secret in secrets {
            verifier.self_test(settings, secret, now)?;
        }
        Ok(verifier)
    }

    fn self_test(&self, settings: &Settings, secret: &SecretString, now: u64) -> Result<(), VerifierError> {
        let claims = serde_json::json!({
            "iss": settings.issuer, "aud": settings.audience, "sub": "self-test", "typ": "access",
            "jti": "self-test", "tenant_id": "self-test", "roles": [],
            "iat": now, "nbf": now.saturating_sub(1), "exp": now.saturating_add(1),
        });
        let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS512), &claims, &key)
            .map_err(VerifierError::Sign)?;
        self.verify(&token, now).map(drop).map_err(VerifierError::SelfTest)
    }

    /// Who bears the token, at `now` in seconds since 1970.
    pub fn verify(&self, token: &str, now: u64) -> Result<Caller, Reject> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Reject::TooLong);
        }
        check_form(token)?;
        let claims = self.signed_claims(token)?;
        self.check_times(&claims, now)?;
        if claims.typ != "access" {
            return Err(Reject::Kind);
        }
        let subject_fits = (1..=SUBJECT_CHARACTERS_MAX).contains(&claims.sub.chars().count());
        if !subject_fits || claims.sub.chars().any(char::is_control) {
            return Err(Reject::Subject);
        }
        if claims.roles.len() > ROLES_MAX || claims.roles.iter().any(|role| role.len() > ROLE_BYTES_MAX) {
            return Err(Reject::Roles);
        }
        let tenant: TenantId = claims.tenant_id.parse().map_err(|_| Reject::Tenant)?;
        Ok(Caller::new(claims.sub, tenant, claims.roles, claims.exp))
    }

    fn signed_claims(&self, token: &str) -> Result<Claims, Reject> {
        // Every secret is tried, so that the time it takes does not tell which one signed.
        let mut verdict = Err(Reject::Signature);
        for key in &self.keys {
            match jsonwebtoken::decode::<Claims>(token, key, &self.validation) {
                Ok(data) => verdict = Ok(data.claims),
                Err(error) => match reason(error.kind()) {
                    Reject::Signature => {}
                    other => verdict = Err(other),
                },
            }
        }
        let claims = verdict?;
        // The library takes an array that contains the right one; our types do not, and neither may a
        // difference between the two be how a wrong one gets through.
        let is = |expected: &Option<std::collections::HashSet<String>>, actual: &str| {
            expected.as_ref().is_some_and(|expected| expected.contains(actual))
        };
        if !is(&self.validation.iss, &claims.iss) {
            return Err(Reject::Issuer);
        }
        if !is(&self.validation.aud, &claims.aud) {
            return Err(Reject::Audience);
        }
        Ok(claims)
    }

    fn check_times(&self, claims: &Claims, now: u64) -> Result<(), Reject> {
        let latest = now.saturating_add(self.leeway_seconds);
        if claims.exp <= claims.iat || claims.exp - claims.iat > LIFETIME_SECONDS_MAX {
            return Err(Reject::Lifetime);
        }
        // RFC 7519: "on or after" the time in `exp` the token is not taken.
        if now >= claims.exp.saturating_add(self.leeway_seconds) {
            return Err(Reject::Expired);
        }
        if claims.nbf > latest || claims.iat > latest {
            return Err(Reject::Early);
        }
        Ok(())
    }
}

fn check_form(token: &str) -> Result<(), Reject> {
    let mut parts = token.splitn(3, '.');
    let (header, claims) = (parts.next().ok_or(Reject::Malformed)?, parts.next().ok_or(Reject::Malformed)?);
    if !is_object(header) || !is_object(claims) {
        return Err(Reject::Malformed);
    }
    let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| Reject::Malformed)?;
    let header: TokenHeader = serde_json::from_slice(&header).map_err(|_| Reject::Malformed)?;
    let TokenHeader { alg, typ, crit, jku, jwk, x5u, x5c, zip, enc, cty, b64 } = header;
    if alg != "HS512" {
        return Err(Reject::Algorithm);
    }
    if crit || jku || jwk || x5u || x5c || zip || enc || cty || b64 {
        return Err(Reject::Header);
    }
    match typ.as_deref() {
        None | Some("JWT") => Ok(()),
        Some(_) => Err(Reject::Header),
    }
}

/// Whether a part begins as a JSON object does. A typed parser would take an array of the values as well.
fn is_object(part: &str) -> bool {
    let beginning = part.get(..4).and_then(|four| URL_SAFE_NO_PAD.decode(four).ok());
    beginning.is_some_and(|bytes| bytes.first() == Some(&b'{'))
}

fn reason(kind: &ErrorKind) -> Reject {
    match kind {
        ErrorKind::InvalidSignature => Reject::Signature,
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => Reject::Algorithm,
        ErrorKind::InvalidIssuer => Reject::Issuer,
        ErrorKind::InvalidAudience => Reject::Audience,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::Json(_) => Reject::Claims,
        // The library's list is open; whatever else it finds is about the token's form.
        _ => Reject::Malformed,
    }
}
