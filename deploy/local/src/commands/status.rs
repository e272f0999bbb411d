//! `cargo arcadia status`: what runs, where, and whether it is ready.

use crate::environment::{self, variable_prefix};
use crate::state::StateDir;
use contracts::Service;
use std::process::ExitCode;
use std::time::Duration;

/// A service answers this at once or is not well.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Prints a line per process; fails when something that should be ready is not.
pub async fn run(state: &StateDir) -> anyhow::Result<ExitCode> {
    if state.try_lock()?.is_some() {
        println!("Nothing runs on {}.", state.path().display());
        return Ok(ExitCode::FAILURE);
    }
    let variables = environment::read(&state.env_file())?;
    let value = |name: String| variables.get(&name).map_or("-", String::as_str);
    println!("gateway  {}", value("GATEWAY_URL".to_owned()));
    println!("logs     {}", state.logs().display());
    println!("\n{:<18} {:>8}  {:<24} state", "name", "process", "operations");
    for name in ["postgres", "nats-server", "digitalocean-sim", "finance-sim"] {
        println!("{name:<18} {:>8}", value(format!("{}_PID", variable_prefix(name))));
    }
    let client = reqwest::Client::new();
    let mut all_ready = true;
    for service in Service::ALL {
        let prefix = variable_prefix(service.name());
        let operations = value(format!("{prefix}_OPS_URL"));
        let (ready, word) = readiness(&client, operations).await;
        all_ready &= ready;
        println!("{:<18} {:>8}  {operations:<24} {word}", service.name(), value(format!("{prefix}_PID")));
    }
    Ok(if all_ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn readiness(client: &reqwest::Client, operations: &str) -> (bool, String) {
    match client.get(format!("{operations}/readyz")).timeout(TIMEOUT).send().await {
        Ok(response) if response.status().is_success() => (true, "ready".to_owned()),
        Ok(response) => {
            let status = response.status();
            let why = response.text().await.unwrap_or_default();
            (false, format!("not ready ({status}): {}", why.trim()))
        }
        Err(_) => (false, "no answer".to_owned()),
    }
}
