//! `cargo arcadia usage`: publishes LLM usage as arcadia-llm-gateway would, and says what it must come to.

use crate::environment;
use crate::gateway::Gateway;
use crate::state::StateDir;
use crate::up::{USAGE_PUBLISHER, binary};
use crate::usage::{Order, Pace, Plan, Published, Shares, Target, Totals};
use anyhow::{Context, ensure};
use chrono::{DateTime, SubsecRound, Utc};
use contracts::TenantId;
use contracts::biller::{Deployment, DeploymentState};
use contracts::ids::DeploymentId;
use contracts::permissions::LLM_GATEWAY;
use money::Currency;
use serde::Serialize;
use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use tokio::io::AsyncWriteExt;

/// What to publish. Without a deployment named, all that live and have a plan use models.
#[derive(Debug, clap::Args)]
pub struct UsageOptions {
    /// The deployment that uses models.
    #[arg(long, value_name = "ID", requires = "tenant", conflicts_with = "deployments_file")]
    deployment: Option<DeploymentId>,
    /// Its tenant.
    #[arg(long, requires = "deployment")]
    tenant: Option<TenantId>,
    /// The currency of its plan.
    #[arg(long, requires = "deployment", default_value = "AUD")]
    currency: Currency,
    /// Several deployments: a JSON array of objects with deployment_id, tenant_id and currency.
    #[arg(long, value_name = "FILE")]
    deployments_file: Option<PathBuf>,
    /// How many messages, of all sorts.
    #[arg(long, default_value_t = 1_000)]
    count: u64,
    /// Messages a second [default: as fast as they are acknowledged].
    #[arg(long)]
    rate: Option<NonZeroU32>,
    /// Most messages in one atomic batch.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    batch: u16,
    /// Decides everything else, ids included [default: a new one]. Again with all else the same, --until too, it gives
    /// nothing but duplicates; with anything else other, conflicts.
    #[arg(long)]
    seed: Option<u64>,
    /// When the last request happened [default: now].
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
    /// Over how many days before that the requests happened.
    #[arg(long, default_value_t = 1)]
    days: u32,
    /// Of 1 000 messages, those sent again.
    #[arg(long, value_name = "N", default_value_t = 0)]
    duplicates_per_mille: u16,
    /// Of 1 000 requests, those that come late.
    #[arg(long, value_name = "N", default_value_t = 0)]
    reordered_per_mille: u16,
    /// Of 1 000 messages, copies of an id with another content.
    #[arg(long, value_name = "N", default_value_t = 0)]
    conflicts_per_mille: u16,
    /// Of 1 000 messages, those that cannot be counted.
    #[arg(long, value_name = "N", default_value_t = 0)]
    rubbish_per_mille: u16,
    /// Of 1 000 messages, corrections.
    #[arg(long, value_name = "N", default_value_t = 0)]
    corrections_per_mille: u16,
    /// Of 1 000 messages, voids.
    #[arg(long, value_name = "N", default_value_t = 0)]
    voids_per_mille: u16,
    /// Only say what it would come to.
    #[arg(long)]
    dry_run: bool,
    /// Print plan, outcome and totals as JSON.
    #[arg(long)]
    json: bool,
    /// The state folder [default: .arcadia in the checkout].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Report<'a> {
    plan: &'a Plan,
    published: Option<Published>,
    totals: &'a Totals,
}

/// Publishes, and prints what meterer must come to.
pub async fn run(options: &UsageOptions) -> anyhow::Result<ExitCode> {
    let plan = plan(options).await?;
    plan.check()?;
    let pace = Pace { per_second: options.rate, batch: options.batch.into() };
    let published = match options.dry_run {
        true => None,
        false => Some(publish(options.state.as_deref(), &Order { plan: plan.clone(), pace }).await?),
    };
    let totals = plan.totals()?;
    if options.json {
        let report = Report { plan: &plan, published, totals: &totals };
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", table(&plan, published, &totals));
    }
    Ok(ExitCode::SUCCESS)
}

async fn plan(options: &UsageOptions) -> anyhow::Result<Plan> {
    let targets = match (&options.deployment, &options.tenant, &options.deployments_file) {
        (Some(deployment_id), Some(tenant_id), _) => vec![Target {
            deployment_id: *deployment_id,
            tenant_id: tenant_id.clone(),
            currency: options.currency,
        }],
        (_, _, Some(file)) => {
            let reading = || format!("read {}", file.display());
            serde_json::from_slice(&fs::read(file).with_context(reading)?).with_context(reading)?
        }
        _ => living(&Gateway::of(options.state.as_deref())?).await?,
    };
    ensure!(
        !targets.is_empty(),
        "no deployment lives and has a plan; name one with --deployment and --tenant"
    );
    Ok(Plan {
        seed: options.seed.unwrap_or_else(|| rand::random::<u32>().into()),
        producer: format!("cargo-arcadia-{:016x}", rand::random::<u64>()),
        count: options.count,
        targets,
        shares: Shares {
            duplicates: options.duplicates_per_mille,
            reordered: options.reordered_per_mille,
            conflicts: options.conflicts_per_mille,
            rubbish: options.rubbish_per_mille,
            corrections: options.corrections_per_mille,
            voids: options.voids_per_mille,
        },
        until: options.until.unwrap_or_else(Utc::now).trunc_subsecs(3),
        days: options.days,
    })
}

async fn living(gateway: &Gateway) -> anyhow::Result<Vec<Target>> {
    let deployments: Vec<Deployment> = gateway.all("/api/v1/deployments", &[]).await?;
    let over = [DeploymentState::Cancelled, DeploymentState::Archived];
    let targets = deployments.into_iter().filter(|deployment| !over.contains(&deployment.state)).filter_map(
        |Deployment { id, tenant_id, subscription, .. }| {
            Some(Target { deployment_id: id, tenant_id, currency: subscription?.currency })
        },
    );
    Ok(targets.collect())
}

/// Hands over to `usage-publisher`, which `cargo up` built: only `messaging` speaks NATS, and this crate does without.
async fn publish(state: Option<&Path>, order: &Order) -> anyhow::Result<Published> {
    let state = StateDir::open(state)?;
    let variables = environment::read(&state.env_file())?;
    let prefix = environment::variable_prefix(LLM_GATEWAY);
    let take = |name: &str| {
        let missing = || format!("{} has no {name}; is the system running?", state.env_file().display());
        variables.get(name).with_context(missing)
    };
    let mut child = tokio::process::Command::new(binary(USAGE_PUBLISHER)?)
        .env("NATS_URL", take("NATS_URL")?)
        .env("NATS_USER", take(&format!("{prefix}_NATS_USER"))?)
        .env("NATS_PASSWORD", take(&format!("{prefix}_NATS_PASSWORD"))?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("run {USAGE_PUBLISHER}; `cargo up` builds it"))?;
    let mut input = child.stdin.take().context("its standard input is ours")?;
    input.write_all(&serde_json::to_vec(order)?).await.with_context(|| format!("tell {USAGE_PUBLISHER}"))?;
    drop(input);
    let output = child.wait_with_output().await.with_context(|| format!("wait for {USAGE_PUBLISHER}"))?;
    ensure!(output.status.success(), "{USAGE_PUBLISHER} failed ({})", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("read the answer of {USAGE_PUBLISHER}"))
}

fn table(plan: &Plan, published: Option<Published>, totals: &Totals) -> String {
    let mut lines = vec![format!("seed {}, producer {}", plan.seed, plan.producer)];
    lines.push(match published {
        Some(Published { acknowledged, repeated }) => {
            format!("{acknowledged} messages acknowledged, {repeated} sent again")
        }
        None => format!("{} messages, not published", totals.messages),
    });
    lines.push(format!(
        "accepted {} ({} late), duplicates {}, conflicts {}, corrections {}, voids {}, parked {}",
        totals.accepted,
        totals.reordered,
        totals.duplicates,
        totals.conflicts,
        totals.corrections,
        totals.voids,
        totals.parked_total(),
    ));
    for (rubbish, count) in &totals.parked {
        let name = serde_json::to_value(rubbish).expect("a name serialises");
        lines.push(format!("  {count:>7}  parked: {}", name.as_str().unwrap_or_default().replace('_', " ")));
    }
    lines.push(format!(
        "{:<36} {:<10} {:<16} {:>8} {:>13} {:>11} {:>11} {:>20}",
        "deployment", "day", "model", "requests", "prompt", "completion", "cached", "charge",
    ));
    lines.extend(totals.rows.iter().map(|row| {
        format!(
            "{:<36} {:<10} {:<16} {:>8} {:>13} {:>11} {:>11} {:>20} {}",
            row.deployment_id.to_string(),
            row.day.to_string(),
            row.model,
            row.requests,
            row.prompt_tokens,
            row.completion_tokens,
            row.cached_tokens,
            row.charge.to_string(),
            row.currency,
        )
    }));
    lines.extend(totals.charges().iter().map(|(currency, charge)| format!("total {charge} {currency}")));
    lines.join("\n") + "\n"
}
