//! Which tokens are ours: a table, with the time as an argument.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use gateway_api::auth::{Reject, Settings, Verifier, bearer};
use http::{HeaderMap, HeaderValue, header};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::support::{self, PREVIOUS, SECRET, claims, sign};

const NOW: u64 = 1_800_000_000;
const FOUR_WEEKS: u64 = 28 * 24 * 60 * 60;
const HEADER: &str = r#"{"alg":"HS512","typ":"JWT"}"#;

fn verdict(verifier: &Verifier, token: &str) -> String {
    match verifier.verify(token, NOW) {
        Ok(caller) if caller.is_operator() => "operator".to_owned(),
        Ok(_) => "tenant".to_owned(),
        Err(reject) => reject.label().to_owned(),
    }
}

/// A token with some claims set, and those set to `"(none)"` left out.
fn with(changes: Value) -> String {
    let mut claims = claims(NOW);
    for (name, value) in changes.as_object().unwrap() {
        match value.as_str() {
            Some("(none)") => drop(claims.as_object_mut().unwrap().remove(name)),
            _ => claims[name] = value.clone(),
        }
    }
    sign(HEADER, &claims.to_string(), SECRET, Algorithm::HS512)
}

/// A token whose claims are written so, between the usual ones and the end.
fn written(more: &str) -> String {
    let claims = claims(NOW).to_string();
    sign(HEADER, &format!("{},{more}}}", claims.trim_end_matches('}')), SECRET, Algorithm::HS512)
}

fn headed(header: &str) -> String {
    sign(header, &claims(NOW).to_string(), SECRET, Algorithm::HS512)
}

#[test]
fn a_token_is_ours_or_refused_for_its_reason() {
    let verifier = Verifier::new(&support::settings(), NOW).unwrap();
    let good = with(json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let base = claims(NOW).to_string();
    let roles = |count: usize, bytes: usize| json!({ "roles": vec!["r".repeat(bytes); count] });
    let tampered = {
        let other = claims(NOW).to_string().replace("member", "platform-admin");
        format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(other), parts[2])
    };

    let cases: Vec<(&str, String, &str)> = vec![
        // What is taken.
        ("as the issuer makes them", good.clone(), "tenant"),
        ("without typ in the header", headed(r#"{"alg":"HS512"}"#), "tenant"),
        ("with a kid", headed(r#"{"alg":"HS512","typ":"JWT","kid":"../../etc/passwd"}"#), "tenant"),
        ("with a private header parameter", headed(r#"{"alg":"HS512","arcadia":1}"#), "tenant"),
        ("with a claim of someone's own", with(json!({ "pem": { "a": 1 }, "auth_time": NOW })), "tenant"),
        ("signed with the secret before", sign(HEADER, &base, PREVIOUS, Algorithm::HS512), "tenant"),
        ("of an operator", with(json!({ "roles": ["x", "platform-admin"] })), "operator"),
        ("with four weeks to live", with(json!({ "exp": NOW + FOUR_WEEKS })), "tenant"),
        (
            "with a tenant that is a UUID",
            with(json!({ "tenant_id": "0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d" })),
            "tenant",
        ),
        ("with a subject of 255 characters", with(json!({ "sub": "ä".repeat(255) })), "tenant"),
        ("with 32 roles of 64 bytes", with(roles(32, 64)), "tenant"),
        ("without roles", with(json!({ "roles": [] })), "tenant"),
        // Who is no operator.
        ("role with an underscore", with(json!({ "roles": ["platform_admin"] })), "tenant"),
        ("role in capitals", with(json!({ "roles": ["Platform-Admin", "PLATFORM-ADMIN"] })), "tenant"),
        ("role with a space", with(json!({ "roles": [" platform-admin", "platform-admin "] })), "tenant"),
        ("role with another hyphen", with(json!({ "roles": ["platform\u{2010}admin"] })), "tenant"),
        ("role with a NUL", with(json!({ "roles": ["platform-admin\u{0}"] })), "tenant"),
        ("role by way of the tenant", with(json!({ "tenant_id": "platform-admin" })), "tenant"),
        ("roles as a string", with(json!({ "roles": "platform-admin" })), "claims"),
        ("roles as an object", with(json!({ "roles": { "platform-admin": true } })), "claims"),
        ("roles null", with(json!({ "roles": null })), "claims"),
        ("no roles claim", with(json!({ "roles": "(none)" })), "claims"),
        ("a role that is a number", with(json!({ "roles": [1] })), "claims"),
        ("a second roles claim", written(r#""roles":["platform-admin"]"#), "claims"),
        ("33 roles", with(roles(33, 1)), "roles"),
        ("a role of 65 bytes", with(roles(1, 65)), "roles"),
        // Algorithms and signatures.
        ("alg none", format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), parts[1]), "algorithm"),
        ("alg None with our signature", headed(r#"{"alg":"None"}"#), "algorithm"),
        ("alg missing", headed(r#"{"typ":"JWT"}"#), "malformed"),
        ("HS256", sign(r#"{"alg":"HS256"}"#, &base, SECRET, Algorithm::HS256), "algorithm"),
        ("HS384", sign(r#"{"alg":"HS384"}"#, &base, SECRET, Algorithm::HS384), "algorithm"),
        ("HS256 called HS512", sign(HEADER, &base, SECRET, Algorithm::HS256), "signature"),
        ("RS512 by name", headed(r#"{"alg":"RS512"}"#), "algorithm"),
        ("hs512 in small letters", headed(r#"{"alg":"hs512"}"#), "algorithm"),
        ("alg twice", headed(r#"{"alg":"HS512","alg":"HS512"}"#), "malformed"),
        ("another secret", sign(HEADER, &base, &"z".repeat(64), Algorithm::HS512), "signature"),
        (
            "the secret decoded from base64",
            {
                let decoded = STANDARD.decode(SECRET.replace(['-', '!'], "A")).unwrap();
                sign(HEADER, &base, &String::from_utf8_lossy(&decoded), Algorithm::HS512)
            },
            "signature",
        ),
        ("no signature", format!("{}.{}.", parts[0], parts[1]), "signature"),
        ("half a signature", format!("{}.{}.{}", parts[0], parts[1], &parts[2][..40]), "signature"),
        ("claims changed after signing", tampered, "signature"),
        // Form.
        ("empty", String::new(), "malformed"),
        ("garbage", "garbage".to_owned(), "malformed"),
        ("two parts", format!("{}.{}", parts[0], parts[1]), "malformed"),
        ("four parts", format!("{good}.x"), "malformed"),
        ("five parts, as if encrypted", format!("{good}.a.b"), "malformed"),
        ("padded", format!("{}=.{}.{}", parts[0], parts[1], parts[2]), "malformed"),
        ("padded signature", format!("{good}=="), "malformed"),
        ("standard alphabet", format!("{}+/.{}.{}", parts[0], parts[1], parts[2]), "malformed"),
        ("a space inside", format!("{} .{}.{}", parts[0], parts[1], parts[2]), "malformed"),
        ("header that is no JSON", headed("HS512"), "malformed"),
        ("header that is an array", headed(r#"["HS512"]"#), "malformed"),
        ("claims that are an array", sign(HEADER, "[]", SECRET, Algorithm::HS512), "malformed"),
        (
            "claims as an array in the right order",
            sign(
                HEADER,
                &json!([
                    "arcadia",
                    "arcadia",
                    "user-1",
                    "access",
                    "id",
                    "acme",
                    NOW + 60,
                    NOW,
                    NOW,
                    ["platform-admin"],
                ])
                .to_string(),
                SECRET,
                Algorithm::HS512,
            ),
            "malformed",
        ),
        ("claims that are text", sign(HEADER, r#""{}""#, SECRET, Algorithm::HS512), "malformed"),
        (
            "claims that are no UTF-8",
            {
                let bytes = base.replace("user-1", "user-\u{e9}");
                let message = format!(
                    "{}.{}",
                    parts[0],
                    URL_SAFE_NO_PAD.encode(
                        bytes.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect::<Vec<u8>>(),
                    )
                );
                let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
                let signature =
                    jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS512).unwrap();
                format!("{message}.{signature}")
            },
            "claims",
        ),
        ("longer than 8 KiB", with(json!({ "filler": "x".repeat(8192) })), "too_long"),
        // Header parameters.
        ("crit", headed(r#"{"alg":"HS512","crit":["exp"]}"#), "header"),
        ("crit null", headed(r#"{"alg":"HS512","crit":null}"#), "header"),
        ("jku", headed(r#"{"alg":"HS512","jku":"https://evil.example/keys"}"#), "header"),
        ("jwk", headed(r#"{"alg":"HS512","jwk":{"kty":"oct","k":"AA"}}"#), "header"),
        ("x5u", headed(r#"{"alg":"HS512","x5u":"https://evil.example"}"#), "header"),
        ("x5c", headed(r#"{"alg":"HS512","x5c":["AA"]}"#), "header"),
        ("zip", headed(r#"{"alg":"HS512","zip":"DEF"}"#), "header"),
        ("enc", headed(r#"{"alg":"HS512","enc":"A128GCM"}"#), "header"),
        ("cty", headed(r#"{"alg":"HS512","cty":"JWT"}"#), "header"),
        ("b64", headed(r#"{"alg":"HS512","b64":false}"#), "header"),
        ("typ of the header is another", headed(r#"{"alg":"HS512","typ":"at+jwt"}"#), "header"),
        ("typ of the header is null", headed(r#"{"alg":"HS512","typ":null}"#), "malformed"),
        // Issuer, audience, kind.
        ("another issuer", with(json!({ "iss": "evil" })), "issuer"),
        ("issuer in capitals", with(json!({ "iss": "Arcadia" })), "issuer"),
        ("issuer as an array", with(json!({ "iss": ["arcadia"] })), "claims"),
        ("issuer as a number", with(json!({ "iss": 1 })), "claims"),
        ("no issuer", with(json!({ "iss": "(none)" })), "claims"),
        ("another audience", with(json!({ "aud": "finance" })), "audience"),
        ("audience as an array", with(json!({ "aud": ["arcadia"] })), "claims"),
        ("audience as an array of several", with(json!({ "aud": ["x", "arcadia"] })), "claims"),
        ("audience as a number", with(json!({ "aud": 5 })), "claims"),
        ("no audience", with(json!({ "aud": "(none)" })), "claims"),
        ("a refresh token", with(json!({ "typ": "refresh" })), "kind"),
        ("a service token", with(json!({ "typ": "service" })), "kind"),
        ("no kind", with(json!({ "typ": "(none)" })), "claims"),
        ("no id", with(json!({ "jti": "(none)" })), "claims"),
        // Times, with a leeway of five seconds.
        ("expired for longer than the leeway", with(json!({ "exp": NOW - 6, "iat": NOW - 60 })), "expired"),
        ("expired as long as the leeway", with(json!({ "exp": NOW - 5, "iat": NOW - 60 })), "expired"),
        ("expired within the leeway", with(json!({ "exp": NOW - 4, "iat": NOW - 60 })), "tenant"),
        ("expiring now", with(json!({ "exp": NOW, "iat": NOW - 60 })), "tenant"),
        (
            "expired 30 s ago, which the library takes",
            with(json!({ "exp": NOW - 30, "iat": NOW - 60 })),
            "expired",
        ),
        ("no expiry", with(json!({ "exp": "(none)" })), "claims"),
        ("expiry as text", with(json!({ "exp": (NOW + 60).to_string() })), "claims"),
        ("expiry as a float", with(json!({ "exp": 1_800_000_060.5 })), "claims"),
        ("expiry as a whole float", with(json!({ "exp": 1_800_000_060.0 })), "claims"),
        ("expiry 1e300", with(json!({ "exp": 1e300 })), "claims"),
        ("expiry negative", with(json!({ "exp": -1 })), "claims"),
        ("expiry null", with(json!({ "exp": null })), "claims"),
        ("expiry true", with(json!({ "exp": true })), "claims"),
        ("expiry twice", written(&format!(r#""exp":{}"#, NOW + 9)), "claims"),
        ("expiry at the end of time", with(json!({ "exp": u64::MAX })), "lifetime"),
        ("a second over four weeks", with(json!({ "exp": NOW + FOUR_WEEKS + 1 })), "lifetime"),
        ("expiry before issue", with(json!({ "exp": NOW + 1, "iat": NOW + 2 })), "lifetime"),
        ("expiry at issue", with(json!({ "exp": NOW + 2, "iat": NOW + 2 })), "lifetime"),
        ("not valid before the end of the leeway", with(json!({ "nbf": NOW + 5 })), "tenant"),
        ("not valid until after the leeway", with(json!({ "nbf": NOW + 6 })), "early"),
        ("not valid for an hour", with(json!({ "nbf": NOW + 3600 })), "early"),
        ("no nbf", with(json!({ "nbf": "(none)" })), "claims"),
        ("nbf as text", with(json!({ "nbf": "0" })), "claims"),
        ("issued within the leeway", with(json!({ "iat": NOW + 5 })), "tenant"),
        ("issued in the future", with(json!({ "iat": NOW + 6 })), "early"),
        ("no iat", with(json!({ "iat": "(none)" })), "claims"),
        // Tenant and subject.
        ("no tenant", with(json!({ "tenant_id": "(none)" })), "claims"),
        ("tenant null", with(json!({ "tenant_id": null })), "claims"),
        ("tenant as an array", with(json!({ "tenant_id": ["acme"] })), "claims"),
        ("tenant as a number", with(json!({ "tenant_id": 7 })), "claims"),
        ("a second tenant", written(r#""tenant_id":"other""#), "claims"),
        ("a second tenant in disguise", written(r#""\u0074enant_id":"other""#), "claims"),
        ("tenant *", with(json!({ "tenant_id": "*" })), "tenant"),
        ("tenant >", with(json!({ "tenant_id": ">" })), "tenant"),
        ("tenant of two tokens", with(json!({ "tenant_id": "a.b" })), "tenant"),
        ("tenant with a quote", with(json!({ "tenant_id": "a'--" })), "tenant"),
        ("tenant with a NUL", with(json!({ "tenant_id": "acme\u{0}" })), "tenant"),
        ("tenant empty", with(json!({ "tenant_id": "" })), "tenant"),
        ("tenant of 65 characters", with(json!({ "tenant_id": "a".repeat(65) })), "tenant"),
        ("tenant in Cyrillic", with(json!({ "tenant_id": "аcme" })), "tenant"),
        ("no subject", with(json!({ "sub": "(none)" })), "claims"),
        ("subject as a number", with(json!({ "sub": 1 })), "claims"),
        ("subject empty", with(json!({ "sub": "" })), "subject"),
        ("subject of 256 characters", with(json!({ "sub": "a".repeat(256) })), "subject"),
        ("subject with a line break", with(json!({ "sub": "a\nb" })), "subject"),
    ];
    assert!(cases.len() >= 100, "{} cases", cases.len());
    for (name, token, expected) in cases {
        assert_eq!(verdict(&verifier, &token), expected, "{name}");
    }
}

#[test]
fn without_leeway_a_token_ends_at_the_second_it_names() {
    let verifier = Verifier::new(&Settings { leeway_seconds: 0, ..support::settings() }, NOW).unwrap();
    let token = with(json!({ "exp": NOW + 10 }));
    assert!(verifier.verify(&token, NOW + 9).is_ok());
    assert_eq!(verifier.verify(&token, NOW + 10).unwrap_err(), Reject::Expired);
    let token = with(json!({ "nbf": NOW + 10 }));
    assert_eq!(verifier.verify(&token, NOW + 9).unwrap_err(), Reject::Early);
    assert!(verifier.verify(&token, NOW + 10).is_ok());
}

#[test]
fn dropping_the_previous_secret_ends_its_tokens() {
    let old = sign(HEADER, &claims(NOW).to_string(), PREVIOUS, Algorithm::HS512);
    let rotated = Verifier::new(&Settings { previous: None, ..support::settings() }, NOW).unwrap();
    assert_eq!(rotated.verify(&old, NOW).unwrap_err(), Reject::Signature);
}

#[test]
fn every_last_character_but_one_is_refused() {
    // 64 bytes end in a character of which four bits count; the others are no second spelling of a signature.
    let verifier = Verifier::new(&support::settings(), NOW).unwrap();
    let good = with(json!({}));
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let taken = alphabet.chars().filter(|last| {
        let token = format!("{}{last}", &good[..good.len() - 1]);
        verifier.verify(&token, NOW).is_ok()
    });
    assert_eq!(taken.count(), 1);
}

#[test]
fn a_token_comes_in_one_header_of_one_form() {
    let check = |values: &[&'static str]| {
        let values = values.iter().map(|value| (header::AUTHORIZATION, HeaderValue::from_static(value)));
        bearer(&values.collect::<HeaderMap>()).map(str::to_owned).map_err(Reject::label)
    };
    assert_eq!(check(&["Bearer a.b.c"]), Ok("a.b.c".to_owned()));
    assert_eq!(check(&["bearer a.b.c"]), Ok("a.b.c".to_owned()));
    assert_eq!(check(&[]), Err("absent"));
    for bad in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer  a",
        "Bearer a b",
        "Bearer: a",
        "x Bearer a",
        "Basic a",
        "a.b.c",
        "Bearer\ta",
    ] {
        assert_eq!(check(&[bad]), Err("scheme"), "{bad:?}");
    }
    assert_eq!(check(&["Bearer a", "Bearer a"]), Err("scheme"));
}
