//! `cargo arcadia sqlx`: the query data in `.sqlx`, from a database that the migrations made just now.
//!
//! Without it every build would need a database. The query macros themselves write it, given a database and a folder.

use crate::migrate::{self, Layout, Passwords};
use crate::postgres::{Options, Postgres};
use crate::sources;
use anyhow::{Context, ensure};
use contracts::Service;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

/// How.
#[derive(Debug, clap::Args)]
pub struct SqlxOptions {
    /// Change nothing; fail when the data in .sqlx is not what it should be.
    #[arg(long)]
    pub check: bool,
}

/// The password of every role in a database that lives for a minute and listens on the loopback address.
const PASSWORD: &str = "passing";

/// Refreshes or checks.
pub async fn run(options: &SqlxOptions) -> anyhow::Result<ExitCode> {
    let work = tempfile::tempdir().context("make a temporary folder")?;
    let settings = Options { durable: false, throwaway: true, ..Options::default() };
    eprintln!("sqlx: starting a database");
    let postgres = Postgres::start(&work.path().join("postgres"), settings).await?;
    let layout = Layout::default();
    migrate::migrate(&postgres.superuser_url("postgres"), &layout, &Passwords::same(PASSWORD)).await?;
    let fresh = work.path().join("sqlx");
    fs::create_dir(&fresh).context("make a folder for the query data")?;

    touch(&packages_with_queries().await?)?;
    // The administrator, who sees every schema: cargo decides which crates it compiles together, so each cannot have
    // the URL of its own role. Services name their tables with the schema; what they share names none, and is the
    // same in every schema.
    let database = layout.database(Service::Syncer);
    let search_path = Service::Syncer.sql_name();
    let url = format!("{}&options=-csearch_path%3D{search_path}", postgres.superuser_url(&database));
    check(&url, &fresh).await?;

    compare_or_replace(&fresh, &sources::repo_root().join(".sqlx"), options.check)
}

/// A package of the workspace.
#[derive(Debug, Deserialize)]
struct Package {
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Target {
    src_path: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// The packages that can hold a query: those that depend on sqlx themselves.
async fn packages_with_queries() -> anyhow::Result<Vec<Package>> {
    let mut command = cargo();
    command.args(["metadata", "--format-version=1", "--no-deps"]);
    let output = command.output().await.context("run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("read cargo metadata")?;
    let has_queries =
        |package: &Package| package.dependencies.iter().any(|dependency| dependency.name == "sqlx");
    Ok(metadata.packages.into_iter().filter(has_queries).collect())
}

/// Cargo compiles what changed, and a macro's environment is no change to it.
fn touch(packages: &[Package]) -> anyhow::Result<()> {
    for target in packages.iter().flat_map(|package| &package.targets) {
        let file = fs::File::options().append(true).open(&target.src_path);
        let touched = file.and_then(|file| file.set_modified(SystemTime::now()));
        touched.with_context(|| format!("touch {}", target.src_path.display()))?;
    }
    Ok(())
}

async fn check(database_url: &str, folder: &Path) -> anyhow::Result<()> {
    eprintln!("sqlx: checking every query of the workspace");
    let mut command = cargo();
    command.args(["check", "--workspace", "--all-targets"]);
    command.env("DATABASE_URL", database_url).env("SQLX_OFFLINE_DIR", folder).env("SQLX_OFFLINE", "false");
    let status = command.status().await.context("run cargo check")?;
    ensure!(status.success(), "cargo check failed");
    Ok(())
}

fn cargo() -> tokio::process::Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = tokio::process::Command::new(cargo);
    command.current_dir(sources::repo_root());
    command
}

fn compare_or_replace(fresh: &Path, kept: &Path, only_check: bool) -> anyhow::Result<ExitCode> {
    let (new, old) = (files(fresh)?, files(kept)?);
    let changed = new.iter().filter(|(name, bytes)| old.get(*name) != Some(bytes));
    let changed: Vec<&String> = changed.map(|(name, _)| name).collect();
    let gone: Vec<&String> = old.keys().filter(|name| !new.contains_key(*name)).collect();
    eprintln!("sqlx: {} queries; {} new or changed, {} no longer used", new.len(), changed.len(), gone.len());
    if changed.is_empty() && gone.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    if only_check {
        eprintln!("sqlx: .sqlx is not current; run: cargo arcadia sqlx");
        return Ok(ExitCode::FAILURE);
    }
    fs::create_dir_all(kept).context("make .sqlx")?;
    for name in changed {
        fs::write(kept.join(name), &new[name]).with_context(|| format!("write {name}"))?;
    }
    for name in gone {
        fs::remove_file(kept.join(name)).with_context(|| format!("delete {name}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The query files of a folder, by name; none when there is no such folder.
fn files(folder: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.with_context(|| format!("list {}", folder.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("query-") {
            let bytes = fs::read(entry.path()).with_context(|| format!("read {name}"))?;
            files.insert(name, bytes);
        }
    }
    Ok(files)
}
