//! Any mix of messages, in batches of any size, comes to the same: what a reckoning of the test's own says.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use contracts::ids::DeploymentId;
use messaging::Received;
use money::Decimal;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::{
    lab::{Lab, deployment},
    llm::{self, correction, event, message, take_in, unequal_sums, void, with},
};

/// What counts of a request: the line of the sums it belongs to, and its figures; none once it is voided.
struct Counted {
    line: String,
    figures: Option<(i64, Decimal)>,
}

/// What everything comes to, reckoned one by one.
#[derive(Default)]
struct Reckoning {
    requests: HashMap<String, Counted>,
    bodies: HashMap<String, Value>,
    /// Id, tokens and the fields that differ.
    conflicts: BTreeSet<(String, i64, String)>,
    /// Body and reason.
    aside: BTreeSet<(Vec<u8>, String)>,
}

impl Reckoning {
    fn sums(&self) -> BTreeMap<String, (i64, i64, Decimal)> {
        let mut sums = BTreeMap::<String, (i64, i64, Decimal)>::new();
        for counted in self.requests.values() {
            let sum = sums.entry(counted.line.clone()).or_default();
            if let Some((tokens, charge)) = counted.figures {
                *sum = (sum.0 + 1, sum.1 + tokens, sum.2 + charge);
            }
        }
        sums
    }
}

fn charge(random: &mut StdRng) -> String {
    Decimal::new(random.random_range(0..10_i64.pow(13)), 12).normalize().to_string()
}

/// Messages of every sort, and what they come to.
fn mixed(random: &mut StdRng, count: usize) -> (Vec<Received>, Reckoning) {
    let (mut messages, mut reckoning) = (Vec::new(), Reckoning::default());
    let mut ids: Vec<String> = Vec::new();
    for number in 0..count {
        let known = (!ids.is_empty()).then(|| ids[random.random_range(0..ids.len())].clone());
        match (random.random_range(0..10), known) {
            // The same again, its charge spelled otherwise.
            (0 | 1, Some(id)) => {
                let mut body = reckoning.bodies[&id].clone();
                let same: Decimal = body["charge"].as_str().unwrap().parse().unwrap();
                body["charge"] = json!(format!("{same:.12}"));
                messages.push(message(&body));
            }
            // Something else under its id.
            (2, Some(id)) => {
                let tokens = 1_000_000 + i64::try_from(number).unwrap();
                let body = with(reckoning.bodies[&id].clone(), &[("prompt_tokens", json!(tokens))]);
                reckoning.conflicts.insert((id, tokens, "prompt_tokens".to_owned()));
                messages.push(message(&body));
            }
            (3, Some(id)) => {
                let (tokens, charge) = (random.random_range(0..1000), charge(random));
                let body = correction(&format!("c-{number}"), &id, 30, tokens, &charge);
                let body = with(body, &[("deployment_id", reckoning.bodies[&id]["deployment_id"].clone())]);
                let figures = (i64::try_from(tokens).unwrap(), charge.parse().unwrap());
                reckoning.requests.get_mut(&id).unwrap().figures = Some(figures);
                messages.push(message(&body));
                if random.random_bool(0.5) {
                    messages.push(message(&body));
                }
            }
            (4, Some(id)) => {
                let body = void(&format!("c-{number}"), &id, 30);
                let body = with(body, &[("deployment_id", reckoning.bodies[&id]["deployment_id"].clone())]);
                reckoning.requests.get_mut(&id).unwrap().figures = None;
                messages.push(message(&body));
            }
            (5, _) => {
                let (id, never) = (format!("r-{number}"), format!("never-{number}"));
                let (rubbish, reason) = match random.random_range(0..4) {
                    0 => (
                        message(&with(event(&id), &[("charge", json!(number))])),
                        "/charge must be money as a decimal string such as \"0.0125\"; a JSON number has been a float"
                            .to_owned(),
                    ),
                    1 => (
                        message(&with(event(&id), &[("tenant_id", json!("globex"))])),
                        "the deployment is another tenant's".to_owned(),
                    ),
                    2 => (
                        message(&correction(&id, &never, 1, 1, "1")),
                        format!("the request {never} is not recorded"),
                    ),
                    _ => (
                        llm::bytes(
                            "evt.llm-gateway.usage.recorded.v1.acme",
                            format!("{number}{{").into_bytes(),
                        ),
                        "it is no JSON object".to_owned(),
                    ),
                };
                reckoning.aside.insert((rubbish.body.to_vec(), reason));
                messages.push(rubbish);
            }
            _ => {
                let id = format!("id-{:08x}-{number}", random.random::<u32>());
                let (number, day) = (random.random_range(900..902), random.random_range(20..23));
                let model = ["gpt-5", "mini"][random.random_range(0..2)];
                let (tokens, charge) = (random.random_range(0..1000_i64), charge(random));
                let body = with(
                    event(&id),
                    &[
                        ("deployment_id", json!(deployment(number))),
                        ("occurred_at", json!(format!("2026-11-{day}T11:00:00Z"))),
                        ("model", json!(model)),
                        ("prompt_tokens", json!(tokens)),
                        ("completion_tokens", json!(0)),
                        ("charge", json!(charge)),
                    ],
                );
                let line = format!("{} 2026-11-{day} {model}", deployment(number));
                let figures = Some((tokens, charge.parse().unwrap()));
                reckoning.requests.insert(id.clone(), Counted { line, figures });
                reckoning.bodies.insert(id.clone(), body.clone());
                ids.push(id);
                messages.push(message(&body));
            }
        }
    }
    (messages, reckoning)
}

/// Everything there is, but for times and entries: sums, conflicts and what is set aside, as a [`Reckoning`] has them.
#[derive(Debug, PartialEq, Eq)]
struct State {
    sums: BTreeMap<String, (i64, i64, Decimal)>,
    conflicts: Vec<(String, i64, String)>,
    aside: Vec<(Vec<u8>, String)>,
}

async fn state(tx: &mut PgConnection) -> State {
    let sums = sqlx::query!(
        "select deployment_id, day, model, requests, prompt_tokens, charge from meterer.llm_usage_daily"
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    let sums = sums
        .into_iter()
        .map(|row| {
            let line = format!("{} {} {}", DeploymentId::from_uuid(row.deployment_id), row.day, row.model);
            (line, (row.requests, row.prompt_tokens, row.charge))
        })
        .collect();
    let conflicts = sqlx::query!(
        r#"select gateway_request_id, (rejected ->> 'prompt_tokens')::bigint as "tokens!",
                  array_to_string(fields, ' ') as "fields!"
           from meterer.llm_usage_conflicts order by 1, 2, 3"#
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    let aside = sqlx::query!("select payload, reason from meterer.parked order by payload")
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    State {
        sums,
        conflicts: conflicts
            .into_iter()
            .map(|row| (row.gateway_request_id, row.tokens, row.fields))
            .collect(),
        aside: aside.into_iter().map(|row| (row.payload, row.reason)).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_mix_in_batches_of_any_size_comes_to_the_same() {
    let lab = Lab::with_deployments().await;
    for seed in 0..12 {
        let mut random = StdRng::seed_from_u64(seed);
        let (messages, reckoning) = mixed(&mut random, 400);
        let expected = State {
            sums: reckoning.sums(),
            conflicts: reckoning.conflicts.into_iter().collect(),
            aside: reckoning.aside.into_iter().collect(),
        };
        for at_most in [1, 7, 60, 1000] {
            // Rolled back at the end of each turn: every turn starts from nothing.
            let mut tx = lab.meterer.pool.begin().await.unwrap();
            let mut rest = messages.as_slice();
            while !rest.is_empty() {
                let (batch, after) = rest.split_at(random.random_range(1..=at_most).min(rest.len()));
                take_in(&lab.meterer, &mut tx, batch).await;
                rest = after;
            }
            assert_eq!(unequal_sums(&mut tx).await, 0, "seed {seed}");
            assert_eq!(state(&mut tx).await, expected, "seed {seed}, batches of at most {at_most}");
            tx.rollback().await.unwrap();
        }
    }
}
