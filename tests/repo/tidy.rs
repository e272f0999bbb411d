//! Small rules that keep the tree as its readers expect it.

use std::{collections::BTreeMap, fs};

use contracts::{Service, subject};
use serde_json::Value;

use crate::sources::{root, rust_files};

const FOLDERS: [&str; 4] = ["services", "shared", "deploy", "tests"];

#[test]
fn every_file_says_first_what_it_is() {
    let silent: Vec<String> = FOLDERS
        .into_iter()
        .flat_map(rust_files)
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(file, _)| file)
        .collect();
    assert!(silent.is_empty(), "no module doc: {silent:#?}");
}

#[test]
fn nothing_is_left_for_later_without_a_reason() {
    let pattern =
        regex::Regex::new(r"todo!\(|unimplemented!\(|\bTODO\b|#\[ignore|#\[allow\(").expect("a good pattern");
    let wrong: Vec<String> = FOLDERS
        .into_iter()
        .flat_map(rust_files)
        .filter(|(file, _)| !file.ends_with("repo/tidy.rs"))
        .filter(|(_, text)| pattern.is_match(text))
        .map(|(file, _)| file)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_float_touches_money_or_quantity() {
    // Where a float is right: ratios of benchmarks, random delays, what a provider's JSON holds, refusing them.
    let allowed = [
        "tests/bench/",
        "tests/digitalocean-sim/",
        "tests/finance-sim/",
        "shared/digitalocean/src/retry.rs",
        "shared/telemetry/",
        "tests/repo/",
        "services/gateway-api/src/input/json/",
        "services/meterer/src/domain/llm_usage/metadata.rs",
    ];
    let pattern = regex::Regex::new(r"\bf(32|64)\b").expect("a good pattern");
    let wrong: Vec<String> = FOLDERS
        .into_iter()
        .flat_map(rust_files)
        .filter(|(file, _)| !allowed.iter().any(|prefix| file.starts_with(prefix)))
        .flat_map(|(file, text)| {
            let lines: Vec<String> = text
                .lines()
                .enumerate()
                .filter(|(_, line)| pattern.is_match(line.split("//").next().unwrap_or_default()))
                .map(|(number, line)| format!("{file}:{}: {}", number + 1, line.trim()))
                .collect();
            lines
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn schedules_name_jobs_that_exist_and_keep_the_cadence() {
    let text = fs::read_to_string(root().join("nats/schedules.json")).expect("nats/schedules.json is there");
    let schedules: BTreeMap<String, Value> = serde_json::from_str(&text).expect("it is JSON");
    let jobs: Vec<String> = contracts::catalogue::entries()
        .into_iter()
        .filter(|entry| entry.kind == subject::Kind::Job)
        .map(|entry| entry.subject)
        .collect();
    for (name, schedule) in &schedules {
        let job = schedule["job"].as_str().expect("a schedule has a job");
        assert!(jobs.iter().any(|known| known == job), "schedule {name} names {job}, which is no job");
    }
    // SPEC 2.10.
    let cron = |job: &str| {
        let found =
            schedules.values().find(|schedule| schedule["job"] == format!("job.syncer.{job}.sync.v1"));
        found.and_then(|schedule| schedule["cron"].as_str()).unwrap_or_default().to_owned()
    };
    assert_eq!(cron("droplets"), "0 * * * * *");
    for quarter in ["projects", "dns-zones", "volumes", "floating-ips", "firewalls", "load-balancers"] {
        assert_eq!(cron(quarter), "0 */15 * * * *", "{quarter}");
    }
    assert_eq!(cron("snapshots"), "0 33 * * * *");
    assert_eq!(cron("droplet-backups"), "0 41 * * * *");
}

#[test]
fn every_service_says_what_it_owns() {
    for service in Service::ALL {
        let readme = root().join("services").join(service.name()).join("README.md");
        let text = fs::read_to_string(&readme).unwrap_or_else(|e| panic!("{}: {e}", readme.display()));
        for word in ["owns", "breaks"] {
            assert!(text.to_lowercase().contains(word), "{} does not say what it {word}", readme.display());
        }
    }
}

#[test]
fn checked_queries_only() {
    let pattern = regex::Regex::new(r"sqlx::query(_as|_scalar)?\(").expect("a good pattern");
    let wrong: Vec<String> = ["services", "shared"]
        .into_iter()
        .flat_map(rust_files)
        .filter(|(file, text)| file.contains("/src/") && pattern.is_match(text))
        .map(|(file, _)| file)
        .collect();
    assert!(wrong.is_empty(), "use the checked macros: {wrong:#?}");
}
