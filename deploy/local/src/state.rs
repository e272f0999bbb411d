//! The state folder: everything of one development system, locked while it runs.

use crate::{migrate, nats, sources};
use anyhow::{Context, bail};
use rand::distr::{Alphanumeric, SampleString};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file that says that a folder is ours.
const MARK: &str = "arcadia-state";

/// HS512 wants a key of at least 64 bytes.
const JWT_SECRET_CHARS: usize = 86;

/// The folder of one system.
#[derive(Debug, Clone)]
pub struct StateDir {
    dir: PathBuf,
}

/// Held by the supervisor as long as it runs; released by the kernel whatever ends it.
#[derive(Debug)]
pub struct StateLock(#[expect(dead_code, reason = "dropping the file releases the lock")] File);

/// What the supervisor tells others about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Supervisor {
    /// Its process.
    pub pid: i32,
    /// Where the gateway listens.
    pub gateway_url: String,
    /// Whether everything was up at least once.
    pub ready: bool,
}

/// The random secrets of one state folder, kept over restarts.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secrets {
    /// Of every database role.
    pub database: migrate::Passwords,
    /// Of every NATS user.
    pub nats: nats::Passwords,
    /// Signs user tokens, which the gateway verifies.
    pub jwt: String,
    /// Signs the tokens between biller and skyai-finance.
    pub finance_jwt: String,
    /// What the simulator takes for a token of the provider.
    pub digitalocean_token: String,
}

impl StateDir {
    /// The folder given, or `.arcadia` in the checkout. Made if absent, readable by its owner alone: it holds secrets.
    pub fn open(dir: Option<&Path>) -> anyhow::Result<StateDir> {
        let dir = dir.map_or_else(|| sources::repo_root().join(".arcadia"), Path::to_owned);
        fs::create_dir_all(&dir).with_context(|| format!("make the state folder {}", dir.display()))?;
        let dir = dir.canonicalize().with_context(|| format!("use the state folder {}", dir.display()))?;
        Ok(StateDir { dir })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The file to source in a shell.
    pub fn env_file(&self) -> PathBuf {
        self.dir.join("env")
    }

    /// The folder of log files.
    pub fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// The log file of a child, or of the supervisor.
    pub fn log_file(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// A folder of somebody's own.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes the folder ours, for ever: an empty one, or one that was ours before. Whatever else is in it would be
    /// written over, and deleted by a fresh start.
    pub fn claim(&self) -> anyhow::Result<()> {
        let mark = self.dir.join(MARK);
        if mark.is_file() {
            return Ok(());
        }
        let mut entries = fs::read_dir(&self.dir).with_context(|| format!("read {}", self.dir.display()))?;
        if entries.next().is_some() {
            bail!("{} holds files that are not ours; name an empty folder with --state", self.dir.display());
        }
        fs::write(&mark, "The state of `cargo up`; `cargo up --fresh` deletes it.\n")
            .with_context(|| format!("write {}", mark.display()))
    }

    /// Takes the folder for this process, or says who has it.
    pub fn lock(&self) -> anyhow::Result<StateLock> {
        match self.try_lock()? {
            Some(lock) => Ok(lock),
            None => match self.supervisor() {
                Some(running) => bail!(
                    "already running (process {}, {}) on {}; stop it with `cargo down`, or use another --state",
                    running.pid,
                    running.gateway_url,
                    self.dir.display()
                ),
                None => bail!("another `cargo up` is starting on {}", self.dir.display()),
            },
        }
    }

    /// The lock, or `None` when another process holds it.
    pub fn try_lock(&self) -> anyhow::Result<Option<StateLock>> {
        let path = self.dir.join("lock");
        let file = File::options().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(StateLock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("lock {}", path.display())),
        }
    }

    /// What the supervisor of this folder last told. It may be gone: only the lock says whether it runs.
    pub fn supervisor(&self) -> Option<Supervisor> {
        serde_json::from_slice(&fs::read(self.dir.join("supervisor.json")).ok()?).ok()
    }

    /// Tells others about the supervisor, which is this process.
    pub fn announce(&self, supervisor: &Supervisor) -> anyhow::Result<()> {
        self.write_private("supervisor.json", &serde_json::to_vec(supervisor)?)
    }

    /// Nothing runs here any more.
    pub fn retract(&self) {
        // Only a hint to others; the lock is what counts.
        fs::remove_file(self.dir.join("supervisor.json")).ok();
    }

    /// Deletes everything that we ever put here but the mark.
    pub fn clear(&self) -> anyhow::Result<()> {
        crate::postgres::remove(&self.dir.join("postgres")).context("delete the database")?;
        for name in ["nats", "digitalocean-sim", "logs", "env", "secrets.json", "supervisor.json"] {
            let path = self.dir.join(name);
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            match removed {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("delete {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The secrets, made at the first start.
    pub fn secrets(&self) -> anyhow::Result<Secrets> {
        let path = self.dir.join("secrets.json");
        let mut secrets = match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).with_context(|| format!("read {}", path.display()))?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Secrets::random(),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        secrets.database.complete();
        secrets.nats.complete();
        self.write_private("secrets.json", &serde_json::to_vec_pretty(&secrets)?)?;
        Ok(secrets)
    }

    /// Writes a file that only its owner may read, whole or not at all.
    pub fn write_private(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let (path, draft) = (self.dir.join(name), self.dir.join(format!("{name}.new")));
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        options
            .open(&draft)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| fs::rename(&draft, &path))
            .with_context(|| format!("write {}", path.display()))
    }
}

impl Secrets {
    fn random() -> Secrets {
        let text = |chars| Alphanumeric.sample_string(&mut rand::rng(), chars);
        let hex = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        Secrets {
            database: migrate::Passwords::random(),
            nats: nats::Passwords::random(),
            jwt: text(JWT_SECRET_CHARS),
            finance_jwt: text(JWT_SECRET_CHARS),
            digitalocean_token: format!("dop_v1_{hex}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_folder_or_our_own_is_claimed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDir::open(Some(folder.path())).expect("it can be used");
        state.claim().expect("an empty folder is claimed");
        fs::write(folder.path().join("env"), "x").expect("a file");
        state.claim().expect("ours is claimed again");
        let foreign = tempfile::tempdir().expect("a temporary folder");
        fs::write(foreign.path().join("logs"), "x").expect("a file");
        let state = StateDir::open(Some(foreign.path())).expect("it can be used");
        assert!(state.claim().unwrap_err().to_string().contains("not ours"));
    }
}
