//! What is taken and what is not.

use chrono::DateTime;
use contracts::llm_gateway::{UsageCorrected, UsageVoided};
use expect_test::expect;
use serde_json::{Value, json};

use super::*;

const SUBJECT: &str = "evt.llm-gateway.usage.recorded.v1.acme";

fn noon() -> DateTime<Utc> {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn body() -> Value {
    json!({
        "gateway_request_id": "req-1",
        "tenant_id": "acme",
        "deployment_id": "0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d",
        "provider": "openai",
        "model": "gpt-5",
        "prompt_tokens": 1200,
        "completion_tokens": 300,
        "cached_tokens": 7,
        "charge": "0.0125",
        "currency": "AUD",
        "occurred_at": "2026-11-24T11:59:00.123456Z",
        "metadata": { "user": "u-1", "tags": ["a", 1.50, null], "app": { "b": true, "a": -0.0 } }
    })
}

fn with(field: &str, value: Value) -> String {
    let mut body = body();
    body[field] = value;
    body.to_string()
}

fn without(field: &str) -> String {
    let mut body = body();
    body.as_object_mut().unwrap().remove(field);
    body.to_string()
}

/// With the text of a value put in as it is.
fn raw(field: &str, text: &str) -> String {
    with(field, json!("<here>")).replace("\"<here>\"", text)
}

fn read_recorded(body: &str) -> Result<Recorded, String> {
    match read(SUBJECT, body.as_bytes(), noon())? {
        Usage::Recorded(recorded) => Ok(recorded),
        Usage::Corrected(correction) => panic!("{correction:?}"),
    }
}

#[test]
fn an_event_is_read_whole() {
    let read = read_recorded(&body().to_string()).unwrap();
    // The fingerprint is stored for ever: if it changes, every event that comes again becomes a conflict.
    expect![[r#"
        Recorded {
            id: req-1,
            tenant_id: acme,
            deployment_id: 0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d,
            provider: "openai",
            model: "gpt-5",
            tokens: Tokens {
                prompt: 1200,
                completion: 300,
                cached: 7,
            },
            charge: Charge(
                0.0125,
            ),
            currency: AUD,
            occurred_at: 2026-11-24T11:59:00.123456Z,
            metadata: "{\"app\":{\"a\":0,\"b\":true},\"tags\":[\"a\",1.5,null],\"user\":\"u-1\"}",
            fingerprint: 068d89f7a4925e2c0c69847e864ec8db,
        }
    "#]]
    .assert_debug_eq(&read);
    assert_eq!(read_strictly(&body().to_string(), noon()), Ok(read.clone()));
    let again = read.as_event().unwrap().to_string();
    assert_eq!(read_recorded(&again), Ok(read), "what is told of an event is the event");
}

#[test]
fn spelling_makes_no_difference_and_content_does() {
    let of = |body: &str| read_recorded(body).unwrap().fingerprint;
    let first = of(&body().to_string());
    let mut reordered = String::from("{ ");
    for (name, value) in body().as_object().unwrap().iter().rev() {
        reordered.push_str(&format!("\n {} : {value} ,", json!(name)));
    }
    reordered.push_str("\"unknown\":[{}] }");
    for (what, same) in [
        ("order, spaces and unknown fields", reordered),
        ("zeros of a charge", with("charge", json!("0.01250"))),
        ("an escape", raw("provider", r#""\u006fpenai""#)),
        ("an escaped name", body().to_string().replace("\"model\"", "\"mod\\u0065l\"")),
        ("an offset", with("occurred_at", json!("2026-11-24T12:59:00.123456+01:00"))),
        ("less than a microsecond", with("occurred_at", json!("2026-11-24T11:59:00.123456999Z"))),
        (
            "the order of metadata",
            raw("metadata", r#"{"tags" : ["a",1.5,null],"app":{"a":0.00,"b":true},"\u0075ser":"u-1"}"#),
        ),
    ] {
        assert_eq!(of(&same), first, "{what}");
    }
    assert_eq!(of(&without("cached_tokens")), of(&with("cached_tokens", json!(0))));
    assert_eq!(of(&without("metadata")), of(&with("metadata", json!({}))));
    assert_eq!(of(&with("charge", json!("-0.00"))), of(&with("charge", json!("0"))));

    let one = read_recorded(&body().to_string()).unwrap();
    for (field, value) in [
        ("deployment_id", json!("0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5e")),
        ("provider", json!("openai ")),
        ("model", json!("gpt-5-mini")),
        ("prompt_tokens", json!(1201)),
        ("completion_tokens", json!(0)),
        ("cached_tokens", json!(0)),
        ("charge", json!("0.012500000001")),
        ("currency", json!("USD")),
        ("occurred_at", json!("2026-11-24T11:59:00.123457Z")),
        ("metadata", json!({ "user": "u-2" })),
    ] {
        let other = read_recorded(&with(field, value)).unwrap();
        assert_ne!(other.fingerprint, first, "{field}");
        assert_eq!(one.differences(&other), [field]);
    }
}

#[test]
fn what_is_wrong_with_an_event_is_told() {
    let long = "x".repeat(129);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(40), "]".repeat(40));
    let abyss = format!("{{\"a\":{}{}}}", "[".repeat(9_000), "]".repeat(9_000));
    let bodies = [
        String::new(),
        "  ".to_owned(),
        "nonsense".to_owned(),
        "null".to_owned(),
        format!("[{}]", body()),
        r#"["req-1"]"#.to_owned(),
        r#"{"gateway_request_id":"#.to_owned(),
        format!("{}{}", body(), body()),
        body().to_string().replacen('{', r#"{"charge":"1","#, 1),
        body().to_string().replacen('{', r#"{"ch\u0061rge":"1","#, 1),
        without("gateway_request_id"),
        with("gateway_request_id", json!("")),
        with("gateway_request_id", json!("a b")),
        with("gateway_request_id", json!(7)),
        with("gateway_request_id", Value::Null),
        with("gateway_request_id", json!(long)),
        with("tenant_id", json!("a.b")),
        with("tenant_id", json!("globex")),
        with("deployment_id", json!("0191E4A0-7C3B-7D52-9C0E-2F6F3A1B4C5D")),
        with("provider", json!("")),
        with("provider", json!("x".repeat(65))),
        with("model", json!(long)),
        with("model", json!("gpt\u{0}")),
        raw("model", r#""\ud800""#),
        raw("prompt_tokens", "1.0"),
        raw("prompt_tokens", "1e3"),
        raw("prompt_tokens", "-1"),
        raw("prompt_tokens", "\"1\""),
        raw("prompt_tokens", "1000000000001"),
        raw("prompt_tokens", "18446744073709551616"),
        with("completion_tokens", Value::Null),
        with("cached_tokens", Value::Null),
        raw("charge", "0.0125"),
        raw("charge", "1"),
        with("charge", json!("1e-2")),
        with("charge", json!("-0.01")),
        with("charge", json!("0.0000000000001")),
        with("charge", json!("1000000000000000")),
        with("charge", json!("0,01")),
        with("charge", json!("NaN")),
        with("charge", Value::Null),
        with("currency", json!("aud")),
        with("currency", json!("JPY")),
        with("occurred_at", json!("2026-11-24T11:59:00")),
        with("occurred_at", json!("2026-11-24 11:59:00Z")),
        with("occurred_at", json!("2026-11-24T11:59:60Z")),
        with("occurred_at", json!("2026-11-24T11:59:00.0123456789Z")),
        with("occurred_at", json!("2026-11-24T11:59:00+25:00")),
        with("occurred_at", json!("2026-02-30T11:59:00Z")),
        with("occurred_at", json!(1_795_521_540)),
        with("occurred_at", json!("2019-12-31T23:59:59Z")),
        with("occurred_at", json!("2026-11-24T12:05:00.000001Z")),
        with("metadata", json!([])),
        with("metadata", Value::Null),
        with("metadata", json!({ "a": "x".repeat(4_096) })),
        with("metadata", json!({ "a": "b\u{0}" })),
        raw("metadata", r#"{"a":1,"\u0061":2}"#),
        raw("metadata", r#"{"a":1e999}"#),
        raw("metadata", &deep),
        raw("metadata", &abyss),
        with("charge", json!(1)).replace("\"AUD\"", "null").replace("1200", "-1"),
    ];
    let mut told = String::new();
    for body in &bodies {
        let shown: String = body.chars().take(40).collect();
        let reason = read_recorded(body).expect_err(&shown);
        told.push_str(&reason);
        told.push('\n');
    }
    expect![[r#"
        it is empty
        it is empty
        it is no JSON object
        it is no JSON object
        it is no JSON object
        it is no JSON object
        it is not JSON: EOF while parsing a value at line 1 column 22
        it is not JSON: trailing characters at line 1 column 357
        /charge occurs more than once
        /charge occurs more than once
        /gateway_request_id is required
        /gateway_request_id not a valid request id: 1 to 128 visible ASCII characters
        /gateway_request_id not a valid request id: 1 to 128 visible ASCII characters
        /gateway_request_id must be a string
        /gateway_request_id must be a string
        /gateway_request_id not a valid request id: 1 to 128 visible ASCII characters
        /tenant_id not a valid tenant id
        the tenant in the subject is not the one in the body
        /deployment_id not a valid deployment id
        /provider must be 1 to 64 characters, without control characters
        /provider must be 1 to 64 characters, without control characters
        /model must be 1 to 128 characters, without control characters
        /model must be 1 to 128 characters, without control characters
        /model holds an escape that is no character
        /prompt_tokens must be a whole number from 0 to 1000000000000
        /prompt_tokens must be a whole number from 0 to 1000000000000
        /prompt_tokens must be a whole number from 0 to 1000000000000
        /prompt_tokens must be a whole number from 0 to 1000000000000
        /prompt_tokens must be a whole number from 0 to 1000000000000
        /prompt_tokens must be a whole number from 0 to 1000000000000
        /completion_tokens must be a whole number from 0 to 1000000000000
        /cached_tokens must be a whole number from 0 to 1000000000000
        /charge must be money as a decimal string such as "0.0125"; a JSON number has been a float
        /charge must be money as a decimal string such as "0.0125"; a JSON number has been a float
        /charge must be a decimal string such as "12.5": digits, at most 16 before and 12 behind one point
        /charge must be a decimal string such as "12.5": digits, at most 16 before and 12 behind one point
        /charge must be a decimal string such as "12.5": digits, at most 16 before and 12 behind one point
        /charge must be less than 1000000000
        /charge must be a decimal string such as "12.5": digits, at most 16 before and 12 behind one point
        /charge must be a decimal string such as "12.5": digits, at most 16 before and 12 behind one point
        /charge must be money as a decimal string such as "0.0125"; a JSON number has been a float
        /currency must be an ISO 4217 currency with hundredths, in capitals, such as AUD
        /currency must be an ISO 4217 currency with hundredths, in capitals, such as AUD
        /occurred_at must be a time with an offset, such as 2026-11-24T13:20:00Z
        /occurred_at must be a time with an offset, such as 2026-11-24T13:20:00Z
        /occurred_at must be a time with an offset, such as 2026-11-24T13:20:00Z
        /occurred_at must be a time with an offset, such as 2026-11-24T13:20:00Z
        /occurred_at must be a time with an offset, such as 2026-11-24T13:20:00Z
        /occurred_at must be a time with an offset, such as 2026-11-24T13:20:00Z
        /occurred_at must be a string
        /occurred_at must not be before 2020
        /occurred_at must not be more than 5 minutes ahead
        /metadata must be an object
        /metadata must be an object
        /metadata must be at most 4096 bytes of JSON
        /metadata holds a NUL character
        /metadata holds a name more than once
        /metadata holds a number that is too large
        /metadata must be nested at most 32 deep
        /metadata must be nested at most 32 deep
        /prompt_tokens must be a whole number from 0 to 1000000000000; /charge must be money as a decimal string such as "0.0125"; a JSON number has been a float; /currency must be a string
    "#]].assert_eq(&told);
}

#[test]
fn bytes_that_are_no_text_are_told() {
    let mut body = body().to_string().into_bytes();
    let end = body.len() - 1;
    body.splice(end..end, br#","unknown":"x""#.iter().map(|byte| if *byte == b'x' { 0xff } else { *byte }));
    assert_eq!(read(SUBJECT, &body, noon()), Err("the body is no UTF-8".to_owned()));
}

#[test]
fn five_minutes_ahead_is_still_now() {
    assert!(read_recorded(&with("occurred_at", json!("2026-11-24T12:05:00Z"))).is_ok());
    assert!(read_recorded(&with("occurred_at", json!("2020-01-01T00:00:00Z"))).is_ok());
}

#[test]
fn the_day_is_that_of_utc() {
    let event = read_recorded(&with("occurred_at", json!("2026-11-24T00:30:00+02:00"))).unwrap();
    assert_eq!(event.day().to_string(), "2026-11-23");
    let event = read_recorded(&with("occurred_at", json!("2026-11-23T23:59:59.999999999Z"))).unwrap();
    assert_eq!(event.day().to_string(), "2026-11-23");
}

#[test]
fn the_subject_says_what_and_whose() {
    let read = |subject: &str| read(subject, body().to_string().as_bytes(), noon()).map(drop);
    assert_eq!(read(SUBJECT), Ok(()));
    for (subject, reason) in [
        ("evt.llm-gateway.usage.recorded.v1.globex", "the tenant in the subject is not the one in the body"),
        ("evt.llm-gateway.usage.recorded.v1.a:b", "the subject does not end in a tenant"),
        ("evt.llm-gateway.usage.recorded.v1.*", "the subject does not end in a tenant"),
        ("evt.llm-gateway.usage.recorded.v1", "nobody knows what is said on this subject"),
        ("evt.llm-gateway.usage.recorded.v2.acme", "nobody knows what is said on this subject"),
        ("evt.llm-gateway.usage.refunded.v1.acme", "nobody knows what is said on this subject"),
        ("nonsense", "the subject does not end in a tenant"),
    ] {
        assert_eq!(read(subject), Err(reason.to_owned()), "{subject}");
    }
}

#[test]
fn by_http_every_field_is_told_and_unknown_ones_are_refused() {
    let body = json!({
        "gateway_request_id": "req-1", "tenant_id": "a b", "prompt_tokens": 1.5, "charge": 0.1, "Model": "x",
        "a/b~\u{7}": 1, "occurred_at": "today",
    });
    let unreadable = read_strictly(&body.to_string(), noon()).unwrap_err();
    assert_eq!(unreadable.id.as_ref().map(RequestId::as_str), Some("req-1"));
    expect![[r#"
        /Model is no field of an event
        /a~1b~0? is no field of an event
        /tenant_id not a valid tenant id
        /deployment_id is required
        /provider is required
        /model is required
        /prompt_tokens must be a whole number from 0 to 1000000000000
        /completion_tokens is required
        /charge must be money as a decimal string such as "0.0125"; a JSON number has been a float
        /currency is required
        /occurred_at must be a time with an offset, such as 2026-11-24T13:20:00Z
    "#]]
    .assert_eq(
        &unreadable.problems.iter().map(|p| format!("{} {}\n", p.field, p.detail)).collect::<String>(),
    );
    assert_eq!(read_strictly("[]", noon()).unwrap_err().problems.len(), 1);
    assert_eq!(read_strictly("{\"gateway_request_id\":7}", noon()).unwrap_err().id, None);
}

fn correction(minute: u32, told: Option<(i64, &str)>) -> Correction {
    let mut body = json!({
        "correction_id": format!("c-{minute}-{told:?}").replace([' ', '"'], ""),
        "gateway_request_id": "req-1",
        "tenant_id": "acme",
        "deployment_id": "0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5d",
        "reason": "a retry was priced twice",
        "occurred_at": format!("2026-11-24T11:{minute:02}:00Z"),
    });
    let mut subject = UsageVoided::SUBJECT;
    if let Some((tokens, charge)) = told {
        subject = UsageCorrected::SUBJECT;
        body["prompt_tokens"] = json!(tokens);
        body["completion_tokens"] = json!(0);
        body["charge"] = json!(charge);
        body["currency"] = json!("AUD");
    }
    match read(&format!("{subject}.acme"), body.to_string().as_bytes(), noon()).unwrap() {
        Usage::Corrected(correction) => correction,
        Usage::Recorded(recorded) => panic!("{recorded:?}"),
    }
}

fn applied(corrections: &[&Correction]) -> Delta {
    let event = read_recorded(&body().to_string()).unwrap();
    let mut rollup = Rollup::default();
    rollup.count(&event);
    let mut effective = Effective::recorded(&event);
    for correction in corrections {
        let decided = effective.decide(&event, correction).unwrap();
        effective = decided.effective;
        rollup.change(&event, decided.delta);
    }
    let (_, sum) = rollup.into_iter().next().unwrap();
    Delta {
        requests: sum.requests,
        prompt: sum.prompt,
        completion: sum.completion,
        cached: sum.cached,
        charge: sum.charge,
    }
}

#[test]
fn the_last_decision_counts_whichever_comes_first() {
    let (early, late) = (correction(10, Some((5, "0.5"))), correction(20, Some((9, "0.000000000001"))));
    let (void, after) = (correction(30, None), correction(40, Some((3, "3"))));
    let shown = |corrections: &[&Correction]| {
        let Delta { requests, prompt, completion, cached, charge } = applied(corrections);
        format!("{requests} {prompt}/{completion}/{cached} {charge}")
    };
    assert_eq!(shown(&[]), "1 1200/300/7 0.0125");
    assert_eq!(shown(&[&early]), "1 5/0/0 0.5");
    assert_eq!(shown(&[&early, &late]), "1 9/0/0 0.000000000001");
    assert_eq!(shown(&[&late, &early]), "1 9/0/0 0.000000000001");
    assert_eq!(shown(&[&late, &void]), "0 0/0/0 0");
    assert_eq!(shown(&[&void, &early]), "0 0/0/0 0");
    assert_eq!(shown(&[&void, &correction(31, None)]), "0 0/0/0 0");
    assert_eq!(shown(&[&void, &after]), "1 3/0/0 3");
    assert_eq!(shown(&[&after, &void, &late]), "1 3/0/0 3");
    // Decided at the same instant: the later to come counts.
    assert_eq!(shown(&[&after, &correction(40, Some((4, "4")))]), "1 4/0/0 4");
}

#[test]
fn a_correction_is_of_what_is_recorded() {
    let event = read_recorded(&body().to_string()).unwrap();
    let refused = |change: fn(&mut Correction)| {
        let mut correction = correction(10, Some((1, "1")));
        change(&mut correction);
        Effective::recorded(&event).decide(&event, &correction).unwrap_err()
    };
    assert_eq!(
        refused(|c| c.tenant_id = "globex".parse().unwrap()),
        "the request is recorded for another tenant"
    );
    assert_eq!(
        refused(|c| c.deployment_id = "0191e4a0-7c3b-7d52-9c0e-2f6f3a1b4c5e".parse().unwrap()),
        "the request is recorded for another deployment"
    );
    assert_eq!(
        refused(|c| c.told.as_mut().unwrap().currency = Currency::USD),
        "the request is recorded in another currency"
    );
}

#[test]
fn a_correction_and_a_void_differ_by_what_they_say() {
    let one = correction(10, Some((5, "0.5")));
    let mut other = one.clone();
    other.told = None;
    other.reason = "another".to_owned();
    assert_eq!(one.differences(&other), ["prompt_tokens", "charge", "currency", "reason"]);
    assert_ne!(correction(10, None).fingerprint, correction(11, None).fingerprint);
    let event = one.as_event().unwrap().to_string();
    let read = read(&format!("{}.acme", UsageCorrected::SUBJECT), event.as_bytes(), noon());
    assert_eq!(read, Ok(Usage::Corrected(one)));
}

#[test]
fn sums_of_the_largest_charges_are_exact() {
    let largest: Charge = "999999999999999.999999999999".parse().unwrap();
    let mut sum = Amount::ZERO;
    for _ in 0..1_000 {
        sum += largest.into();
    }
    assert_eq!(sum.to_string(), "999999999999999999.999999999");
    assert_eq!((Amount::ZERO - Amount::from(largest)).to_string(), "-999999999999999.999999999999");
    assert_eq!(Amount::ZERO.to_string(), "0");
}
