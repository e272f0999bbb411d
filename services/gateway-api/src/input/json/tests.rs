//! Bodies that are refused, and the few that are not.

use contracts::TenantId;

use super::*;
use crate::input::Text;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sample {
    tenant_id: Nullable<TenantId>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Text<255>")]
    purpose: Option<Text<255>>,
}

/// `ok …`, or the status and the refused fields.
fn outcome(body: &[u8]) -> String {
    match JsonText::look(Bytes::copy_from_slice(body), shape::of).and_then(|text| text.parse::<Sample>()) {
        Ok(Sample { tenant_id, purpose }) => {
            let purpose = purpose.map_or_else(|| "-".to_owned(), String::from);
            format!(
                "ok {} {}",
                tenant_id.0.map_or_else(|| "null".to_owned(), String::from),
                purpose.chars().count()
            )
        }
        Err(failure) => {
            let fields: Vec<&str> = failure.problem().errors.iter().map(|e| e.field.as_str()).collect();
            format!("{} {}", failure.status().as_u16(), fields.join(" ")).trim().to_owned()
        }
    }
}

#[test]
fn a_body_is_taken_or_refused_with_its_fields() {
    let deep = format!(r#"{{"tenant_id":{}"#, "[".repeat(20_000));
    let named =
        |characters: usize| format!(r#"{{"tenant_id":null,"purpose":"{}"}}"#, "🙂".repeat(characters));
    let (longest, too_long) = (named(255), named(256));
    let cases: &[(&[u8], &str)] = &[
        (br#"{"tenant_id":"acme"}"#, "ok acme 1"),
        (br#" {"tenant_id":null, "purpose":"<b>x</b>"} "#, "ok null 8"),
        (longest.as_bytes(), "ok null 255"),
        (too_long.as_bytes(), "422 /purpose"),
        (b"", "400"),
        (b"   ", "400"),
        (b"\xef\xbb\xbf{\"tenant_id\":null}", "400"),
        (b"null", "422"),
        (b"[]", "422"),
        (br#"["acme"]"#, "422"),
        (br#""text""#, "422"),
        (b"1", "422"),
        (b"true", "422"),
        (br#"{"tenant_id":null,}"#, "400"),
        (br#"{"tenant_id":null} // why"#, "400"),
        (br#"{'tenant_id':null}"#, "400"),
        (br#"{tenant_id:null}"#, "400"),
        (br#"{"tenant_id":null}{}"#, "400"),
        (br#"{"tenant_id":null"#, "400"),
        (br#"{"tenant_id":"\ud800"}"#, "400"),
        (b"{\"tenant_id\":\"\xff\"}", "400"),
        (br#"{"tenant_id":1e400}"#, "400"),
        (deep.as_bytes(), "400"),
        (br#"{"tenant_id":null,"tenant_id":"a"}"#, "422 /tenant_id"),
        (br#"{"tenant_id":null,"\u0074enant_id":"a"}"#, "422 /tenant_id"),
        (br#"{"tenant_id":null,"status":"x","a/b":1}"#, "422 /status /a~1b"),
        (br#"{"Tenant_id":null}"#, "422 /Tenant_id /tenant_id"),
        (br#"{"__proto__":{},"tenant_id":null}"#, "422 /__proto__"),
        (b"{}", "422 /tenant_id"),
        (br#"{"tenant_id":"*"}"#, "422 /tenant_id"),
        (br#"{"tenant_id":""}"#, "422 /tenant_id"),
        (br#"{"tenant_id":5}"#, "422 /tenant_id"),
        (br#"{"tenant_id":["a"]}"#, "422 /tenant_id"),
        (br#"{"tenant_id":null,"purpose":null}"#, "422 /purpose"),
        (br#"{"tenant_id":null,"purpose":""}"#, "422 /purpose"),
        (br#"{"tenant_id":null,"purpose":"a\u0000b"}"#, "422 /purpose"),
        (br#"{"tenant_id":null,"purpose":"a\u202eb"}"#, "422 /purpose"),
        (br#"{"tenant_id":null,"purpose":"a\u200bb"}"#, "422 /purpose"),
        (br#"{"tenant_id":null,"purpose":"a\nb"}"#, "422 /purpose"),
        (br#"{"tenant_id":"a\u0000","purpose":"\u001b[31m"}"#, "422 /tenant_id /purpose"),
    ];
    for (body, expected) in cases {
        assert_eq!(outcome(body), *expected, "{}", String::from_utf8_lossy(&body[..body.len().min(80)]));
    }
}

#[test]
fn only_plain_utf8_json_is_read() {
    let check = |headers: &[(&'static str, &'static str)]| {
        let headers = headers.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        });
        is_json(&headers.collect())
    };
    for good in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
    ] {
        assert!(check(&[("content-type", good)]), "{good}");
    }
    for bad in [
        "",
        "text/plain",
        "application/json; charset=utf-16",
        "application/merge-patch+json",
        "application/json; x=1",
        "application/jsonp",
    ] {
        assert!(!check(&[("content-type", bad)]), "{bad}");
    }
    assert!(!check(&[]));
    assert!(!check(&[("content-type", "application/json"), ("content-type", "application/json")]));
    assert!(!check(&[("content-type", "application/json"), ("content-encoding", "gzip")]));
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Answer {
    Yes,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    to: Answer,
}

#[test]
fn what_is_no_name_is_refused_as_the_field_it_is_in() {
    let read = |body: &str| {
        let text = JsonText::look(Bytes::copy_from_slice(body.as_bytes()), shape::of)?;
        text.parse::<Asked>().map(|asked| matches!(asked.to, Answer::Yes))
    };
    assert_eq!(read(r#"{"to":"yes"}"#).ok(), Some(true));
    for bad in ["1", "null", "true", "[]", "{}", "1.5", r#""no""#, r#"{"yes":1}"#, r#"{"no":null}"#] {
        let failure = read(&format!(r#"{{"to":{bad}}}"#)).expect_err(bad);
        let problem = failure.problem();
        assert!(problem.status == 422 && problem.errors[0].field.starts_with("/to"), "{bad}: {problem:?}");
        assert!(!problem.errors[0].detail.contains("line"), "{bad}: {problem:?}");
    }
}
