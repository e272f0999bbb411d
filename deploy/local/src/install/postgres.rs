//! Finds Postgres' programs, or installs the distribution's package.

use super::{InstallError, apt_get_install, parse_version, path_folders, version_text};
use crate::process::find_in;
use std::fs;
use std::path::{Path, PathBuf};

/// The oldest major version that will do: `security_invoker` views and the closed public schema came with it.
const OLDEST: u32 = 15;

const OVERRIDE: &str = "ARCADIA_POSTGRES_BIN";

const BY_HAND: &str = "apt-get update && apt-get install -y --no-install-recommends postgresql";

/// The programs that must be there together.
const PROGRAMS: [&str; 3] = ["initdb", "postgres", "pg_ctl"];

/// The folder of Postgres' own programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgBin {
    /// Holds `initdb`, `postgres` and `pg_ctl` of one version.
    pub dir: PathBuf,
}

impl PgBin {
    /// The path of one of the programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// Where to look, as values, so that a test can look elsewhere.
#[derive(Debug, Clone)]
pub struct PostgresLookup {
    /// A folder that the user insists on.
    pub override_dir: Option<PathBuf>,
    /// The folders of PATH.
    pub path: Vec<PathBuf>,
    /// Where the distribution keeps one folder per major version.
    pub versions: PathBuf,
}

impl PostgresLookup {
    /// As the environment says.
    pub fn from_env() -> PostgresLookup {
        PostgresLookup {
            override_dir: std::env::var_os(OVERRIDE).filter(|v| !v.is_empty()).map(PathBuf::from),
            path: path_folders(),
            versions: PathBuf::from("/usr/lib/postgresql"),
        }
    }

    /// Looks without installing. An override that does not work is an error, never silently passed over.
    pub fn find(&self) -> Result<Option<PgBin>, InstallError> {
        if let Some(path) = &self.override_dir {
            return match complete_and_new_enough(path) {
                Ok(_) => Ok(Some(PgBin { dir: path.clone() })),
                Err(why) => Err(InstallError::Override { variable: OVERRIDE, path: path.clone(), why }),
            };
        }
        let in_path = find_in(self.path.iter().cloned(), "postgres")
            // Distributions put links there; the programs look for their neighbours beside the real file.
            .and_then(|file| file.canonicalize().ok())
            .and_then(|file| file.parent().map(Path::to_owned));
        if let Some(dir) = in_path.filter(|dir| complete_and_new_enough(dir).is_ok()) {
            return Ok(Some(PgBin { dir }));
        }
        let installed = fs::read_dir(&self.versions).into_iter().flatten().flatten();
        let best = installed
            .map(|entry| entry.path().join("bin"))
            .filter_map(|dir| complete_and_new_enough(&dir).ok().map(|version| (version, dir)))
            .max();
        Ok(best.map(|(_, dir)| PgBin { dir }))
    }
}

/// The programs of a Postgres that is new enough, installed from the distribution first if there is none.
///
/// Blocking, and slow the first time. Only root can install; anybody else is told the command.
pub fn ensure_postgres() -> Result<PgBin, InstallError> {
    let lookup = PostgresLookup::from_env();
    if let Some(found) = lookup.find()? {
        return Ok(found);
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(InstallError::Missing { what: "Postgres", by_hand: format!("sudo sh -c '{BY_HAND}'") });
    }
    install()?;
    lookup.find()?.ok_or_else(|| InstallError::Missing {
        what: "Postgres 15 or newer (the distribution's package is older)",
        by_hand: format!("{OVERRIDE}=<folder of initdb and postgres> cargo up"),
    })
}

fn complete_and_new_enough(dir: &Path) -> Result<u32, String> {
    if let Some(absent) = PROGRAMS.iter().find(|name| !dir.join(name).is_file()) {
        return Err(format!("it holds no {absent}"));
    }
    let text = version_text(&dir.join("postgres"), "--version").ok_or("its postgres does not run")?;
    match parse_version(&text) {
        Some((major, _)) if major >= OLDEST => Ok(major),
        Some((major, _)) => Err(format!("it is version {major}, and {OLDEST} is needed")),
        None => Err("its postgres tells no version".to_owned()),
    }
}

fn install() -> Result<(), InstallError> {
    keep_the_package_from_starting_a_cluster()?;
    apt_get_install("postgresql", BY_HAND)
}

/// Debian's package makes and starts a cluster of its own when nobody says otherwise, and it would run for good.
fn keep_the_package_from_starting_a_cluster() -> Result<(), InstallError> {
    let file = Path::new("/etc/postgresql-common/createcluster.conf");
    if file.exists() {
        return Ok(());
    }
    let folder = file.parent().expect("the path above has a folder");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(file, "create_main_cluster = false\n"))
        .map_err(|source| InstallError::Cache { path: file.to_owned(), source })
}
