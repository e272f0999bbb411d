//! The generator against a naive recount of its messages.

use std::collections::{BTreeMap, HashMap, HashSet};

use contracts::Message as _;
use contracts::llm_gateway::{UsageCorrected, UsageRecorded, UsageVoided};
use serde_json::Value;

use super::*;

fn plan(seed: u64, count: u64) -> Plan {
    let target = |deployment: u128, tenant: &str, currency: &str| Target {
        deployment_id: DeploymentId::from_uuid(uuid::Uuid::from_u128(deployment)),
        tenant_id: tenant.parse().unwrap(),
        currency: currency.parse().unwrap(),
    };
    Plan {
        seed,
        producer: "test-1".to_owned(),
        count,
        targets: vec![target(1, "acme", "AUD"), target(2, "acme", "AUD"), target(3, "globex", "EUR")],
        shares: Shares {
            duplicates: 100,
            reordered: 50,
            conflicts: 10,
            rubbish: 10,
            corrections: 20,
            voids: 10,
        },
        until: "2026-11-24T12:00:00Z".parse().unwrap(),
        days: 3,
    }
}

/// A decimal as an integer of 10^-12, read digit by digit.
fn units(text: &str) -> u128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<12}").parse().unwrap()
}

/// What a naive reader makes of a stream: the first message of an id counts, corrections apply as they come.
#[derive(Default)]
struct Recount {
    requests: HashMap<String, Value>,
    /// The same, as corrected.
    effective: HashMap<String, Value>,
    corrections: HashMap<String, Value>,
    duplicates: u64,
    conflicts: HashSet<Vec<u8>>,
}

/// Decimals by value, moments by value, what is left out by its default.
fn normal(mut body: Value) -> Value {
    let object = body.as_object_mut().unwrap();
    if let Some(charge) = object.get("charge") {
        let charge = units(charge.as_str().unwrap()).to_string();
        object.insert("charge".to_owned(), charge.into());
    }
    let at: DateTime<Utc> = object["occurred_at"].as_str().unwrap().parse().unwrap();
    object.insert("occurred_at".to_owned(), at.to_rfc3339().into());
    if object.get("cached_tokens") == Some(&0.into()) {
        object.remove("cached_tokens");
    }
    if object.get("metadata") == Some(&serde_json::json!({})) {
        object.remove("metadata");
    }
    body
}

impl Recount {
    fn take(&mut self, message: &Message) {
        let body = normal(serde_json::from_slice(&message.body).unwrap());
        let literal = message.subject.rsplit_once('.').unwrap().0;
        let (id, known) = match literal {
            UsageRecorded::SUBJECT => ("gateway_request_id", &mut self.requests),
            UsageCorrected::SUBJECT | UsageVoided::SUBJECT => ("correction_id", &mut self.corrections),
            other => panic!("{other}"),
        };
        let id = body[id].as_str().unwrap().to_owned();
        match known.get(&id) {
            None => {
                known.insert(id, body.clone());
            }
            Some(first) if *first == body => {
                self.duplicates += 1;
                return;
            }
            Some(_) => {
                assert!(self.conflicts.insert(message.body.clone()), "a conflict twice: {id}");
                return;
            }
        }
        if literal == UsageRecorded::SUBJECT {
            self.effective.insert(body["gateway_request_id"].as_str().unwrap().to_owned(), body);
            return;
        }
        let request = body["gateway_request_id"].as_str().unwrap();
        let recorded = self.effective.get_mut(request).expect("a correction comes after its request");
        assert_ne!(recorded["requests"], 0, "nothing follows a void");
        for name in ["prompt_tokens", "completion_tokens", "cached_tokens", "charge"] {
            recorded[name] = body.get(name).cloned().unwrap_or(Value::Null);
        }
        if literal == UsageVoided::SUBJECT {
            recorded["requests"] = 0.into();
        }
    }

    fn rows(&self) -> BTreeMap<String, (u64, u64, u64, u64, u128)> {
        let mut rows = BTreeMap::<String, (u64, u64, u64, u64, u128)>::new();
        for request in self.effective.values().filter(|request| request["requests"] != 0) {
            let text = |name: &str| request[name].as_str().unwrap().to_owned();
            let number = |name: &str| request.get(name).and_then(Value::as_u64).unwrap_or(0);
            let key = [text("deployment_id"), text("occurred_at")[..10].to_owned(), text("model")].join(" ");
            let row = rows.entry(key).or_default();
            row.0 += 1;
            row.1 += number("prompt_tokens");
            row.2 += number("completion_tokens");
            row.3 += number("cached_tokens");
            row.4 += text("charge").parse::<u128>().unwrap();
        }
        rows
    }
}

#[test]
fn the_same_plan_gives_the_same_bytes_and_another_seed_none_of_the_ids() {
    let all = |seed| plan(seed, 3_000).traffic().unwrap().collect::<Vec<Message>>();
    let (first, again, other) = (all(7), all(7), all(8));
    assert_eq!(first, again);
    let ids = |messages: &[Message]| -> HashSet<String> {
        let bodies = messages.iter().filter(|message| message.sort == Sort::Request);
        bodies
            .map(|message| {
                serde_json::from_slice::<Value>(&message.body).unwrap()["gateway_request_id"].to_string()
            })
            .collect()
    };
    assert!(ids(&first).is_disjoint(&ids(&other)));
}

/// What a seed means does not change: a run that failed must be repeatable.
#[test]
fn a_seed_means_what_it_always_meant() {
    let mut traffic = plan(1, 1_000).traffic().unwrap();
    let first = traffic.next().unwrap();
    expect_test::expect![[r#"{"gateway_request_id":"req_1_000000000000","tenant_id":"acme","deployment_id":"00000000-0000-0000-0000-000000000001","provider":"cirrus","model":"cirrus-code-3","prompt_tokens":157886,"completion_tokens":6424,"cached_tokens":57882,"charge":"0.094356","currency":"AUD","occurred_at":"2026-11-21T12:00:00.000Z","metadata":{"route":"r34","retries":0}}"#]].assert_eq(&String::from_utf8_lossy(&first.body));
    traffic.by_ref().for_each(drop);
    let Totals { messages, accepted, reordered, duplicates, conflicts, corrections, voids, parked, .. } =
        traffic.totals();
    let parked: u64 = parked.values().sum();
    expect_test::expect!["1000: 847 (43 late) 102 5 26 7 13"].assert_eq(&format!(
        "{messages}: {accepted} ({reordered} late) {duplicates} {conflicts} {corrections} {voids} {parked}"
    ));
}

#[test]
fn totals_are_what_a_naive_reader_counts() {
    for seed in [1, 2, 99] {
        let plan = plan(seed, 20_000);
        let mut traffic = plan.traffic().unwrap();
        let (mut recount, mut rubbish) = (Recount::default(), HashSet::new());
        let mut sequence = 0;
        for message in traffic.by_ref() {
            sequence += 1;
            assert_eq!(message.sequence, sequence);
            match message.sort {
                Sort::Rubbish(_) => {
                    let unlike = rubbish.insert((message.subject.clone(), message.body.clone()));
                    assert!(unlike, "rubbish twice: {message:?}");
                }
                _ => recount.take(&message),
            }
        }
        let totals = traffic.totals();
        assert_eq!(totals, plan.totals().unwrap());
        assert_eq!(totals.messages, plan.count);
        assert_eq!(totals.accepted, recount.requests.len() as u64);
        assert_eq!(totals.corrections + totals.voids, recount.corrections.len() as u64);
        assert_eq!(totals.duplicates, recount.duplicates);
        assert_eq!(totals.conflicts, recount.conflicts.len() as u64);
        assert_eq!(totals.parked_total(), rubbish.len() as u64);
        let rows: BTreeMap<_, _> = totals
            .rows
            .iter()
            .map(|row| {
                let key = format!("{} {} {}", row.deployment_id, row.day, row.model);
                let (prompt, completion) = (row.prompt_tokens, row.completion_tokens);
                (key, (row.requests, prompt, completion, row.cached_tokens, units(&row.charge.to_string())))
            })
            .collect();
        assert_eq!(rows, recount.rows());
        assert_eq!(rows.len(), totals.rows.len());
    }
}

#[test]
fn shares_are_kept_and_every_sort_comes() {
    let totals = plan(5, 100_000).totals().unwrap();
    let near = |count: u64, share: u64| {
        let expected = totals.messages * share / 1_000;
        assert!(count.abs_diff(expected) * 10 <= expected, "{count} instead of about {expected}");
    };
    near(totals.duplicates, 100);
    near(totals.conflicts, 10);
    near(totals.parked_total(), 10);
    near(totals.corrections, 20);
    near(totals.voids, 10);
    near(totals.reordered, 42);
    assert_eq!(totals.parked.len(), Rubbish::ALL.len(), "{:?}", totals.parked);
}

#[test]
fn what_counts_can_be_read_and_what_is_rubbish_cannot_or_lies() {
    let tenants = HashMap::from([("acme", ["1", "2"].as_slice()), ("globex", ["3"].as_slice())]);
    for message in plan(3, 30_000).traffic().unwrap() {
        let (literal, tenant) = message.subject.rsplit_once('.').unwrap();
        let read = match literal {
            UsageRecorded::SUBJECT => serde_json::from_slice::<UsageRecorded>(&message.body)
                .map(|usage| (usage.tenant_id, usage.deployment_id, usage.prompt_tokens)),
            UsageCorrected::SUBJECT => serde_json::from_slice::<UsageCorrected>(&message.body)
                .map(|usage| (usage.tenant_id, usage.deployment_id, usage.prompt_tokens)),
            _ => serde_json::from_slice::<UsageVoided>(&message.body)
                .map(|usage| (usage.tenant_id, usage.deployment_id, 0)),
        };
        let unreadable = matches!(
            message.sort,
            Sort::Rubbish(
                Rubbish::NoJson
                    | Rubbish::NoText
                    | Rubbish::Array
                    | Rubbish::MissingField
                    | Rubbish::FloatForMoney
                    | Rubbish::BadDecimal
                    | Rubbish::UnknownCurrency
            )
        );
        match (read, message.sort) {
            (Ok((body_tenant, deployment, tokens)), sort) => {
                assert!(!unreadable, "{message:?}");
                let own = deployment.as_uuid().as_u128().to_string();
                let consistent = tenants
                    .get(tenant)
                    .is_some_and(|own_deployments| own_deployments.contains(&own.as_str()))
                    && body_tenant.as_str() == tenant;
                let lies = matches!(
                    sort,
                    Sort::Rubbish(
                        Rubbish::OtherTenant | Rubbish::UnknownDeployment | Rubbish::ForeignDeployment
                    )
                );
                assert_eq!(consistent, !lies, "{message:?}");
                let beyond = tokens > contracts::llm_gateway::TOKENS_MAX;
                assert!(!beyond || sort == Sort::Rubbish(Rubbish::BadTokens), "{message:?}");
            }
            (Err(_), Sort::Rubbish(_)) => {}
            (Err(error), sort) => panic!("{sort:?}: {error}"),
        }
    }
}

#[test]
fn a_request_is_late_by_a_hundred_messages_or_so() {
    let mut come: Vec<(u64, u64)> = Vec::new();
    let mut latest = 0;
    for message in plan(11, 20_000).traffic().unwrap().filter(|message| message.sort == Sort::Request) {
        let body: Value = serde_json::from_slice(&message.body).unwrap();
        let id = body["gateway_request_id"].as_str().unwrap().to_owned();
        let number: u64 = id.rsplit_once('_').unwrap().1.parse().unwrap();
        let before = come.iter().rev().take(200).rfind(|(later, _)| *later > number);
        latest = latest.max(before.map_or(0, |(_, sequence)| message.sequence - sequence));
        come.push((number, message.sequence));
    }
    // Several may be due at once, and wait for each other.
    assert!((REORDERED_BY_MAX - 10..REORDERED_BY_MAX + 10).contains(&latest), "{latest}");
    let numbers: Vec<u64> = come.iter().map(|(number, _)| *number).collect();
    assert!(numbers.windows(2).filter(|pair| pair[0] > pair[1]).count() > 500);
}

#[test]
fn a_plan_that_cannot_be_carried_out_says_why() {
    let check = |edit: fn(&mut Plan), expected: BadPlan| {
        let mut plan = plan(1, 10);
        edit(&mut plan);
        assert_eq!(plan.traffic().map(drop), Err(expected));
    };
    check(|plan| plan.targets.clear(), BadPlan::NoTarget);
    check(|plan| plan.shares.duplicates = 951, BadPlan::TooMuch);
    check(|plan| plan.shares.reordered = 1_001, BadPlan::AllReordered);
    check(|plan| plan.producer = "a b".to_owned(), BadPlan::Producer);
    check(|plan| plan.producer.clear(), BadPlan::Producer);
    check(|plan| plan.days = 0, BadPlan::Days);
    assert_eq!(plan(1, 0).totals().unwrap(), Totals::default());
}
