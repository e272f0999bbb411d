//! The traffic that the tests publish is to meterer what its generator says it is. Without this a fault run that is
//! off by one could be either's mistake.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use contracts::ids::DeploymentId;
use local::usage::{Plan, Rubbish, Shares, Sort, Target};
use meterer::domain::llm_usage::{self, Usage};
use uuid::Uuid;

fn plan() -> Plan {
    let target = |deployment: u128, tenant: &str, currency: &str| Target {
        deployment_id: DeploymentId::from_uuid(Uuid::from_u128(deployment)),
        tenant_id: tenant.parse().unwrap(),
        currency: currency.parse().unwrap(),
    };
    Plan {
        seed: 9,
        producer: "repo".to_owned(),
        count: 20_000,
        targets: vec![target(1, "acme", "AUD"), target(2, "acme", "AUD"), target(3, "globex", "EUR")],
        shares: Shares {
            duplicates: 100,
            reordered: 50,
            conflicts: 30,
            rubbish: 50,
            corrections: 30,
            voids: 10,
        },
        until: "2026-11-24T12:00:00Z".parse().unwrap(),
        days: 3,
    }
}

#[test]
fn meterer_reads_traffic_as_its_generator_means_it() {
    let plan = plan();
    let now: DateTime<Utc> = plan.until;
    let mut known = HashMap::new();
    let mut lies = BTreeMap::<Rubbish, u64>::new();
    for message in plan.traffic().unwrap() {
        let said = llm_usage::read(&message.subject, &message.body, now);
        let usage = match (said, message.sort) {
            // What is well formed and still cannot be counted, as the database says.
            (Ok(_), Sort::Rubbish(rubbish)) => {
                *lies.entry(rubbish).or_default() += 1;
                continue;
            }
            (Err(_), Sort::Rubbish(_)) => continue,
            (Ok(usage), _) => usage,
            (Err(reason), sort) => {
                panic!("{sort:?} is refused, {reason}: {}", String::from_utf8_lossy(&message.body))
            }
        };
        let (id, fingerprint) = match usage {
            Usage::Recorded(recorded) => (recorded.id, recorded.fingerprint),
            Usage::Corrected(correction) => (correction.id, correction.fingerprint),
        };
        let sort = match known.get(&id) {
            None => {
                known.insert(id, fingerprint);
                matches!(message.sort, Sort::Request | Sort::Correction | Sort::Void)
            }
            Some(first) if *first == fingerprint => message.sort == Sort::Duplicate,
            Some(_) => message.sort == Sort::Conflict,
        };
        assert!(sort, "{:?} is something else: {}", message.sort, String::from_utf8_lossy(&message.body));
    }
    let lies: Vec<Rubbish> = lies.into_keys().collect();
    let expected = [
        Rubbish::UnknownDeployment,
        Rubbish::ForeignDeployment,
        Rubbish::OtherCurrency,
        Rubbish::UnknownRequest,
    ];
    assert_eq!(lies, expected);
}
