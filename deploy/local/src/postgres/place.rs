//! Where the data lives and who owns it: Postgres refuses root, and its user must be able to reach its folder.

use super::{PostgresError, at};
use crate::process::Identity;
use nix::sys::signal::Signal;
use nix::unistd::User;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use uuid::Uuid;

/// Says where the data is, when it could not be in the folder that was asked for.
const POINTER: &str = "location";

/// A socket's path has at most 107 bytes, and Postgres adds `/s/.s.PGSQL.<port>.lock`.
const SOCKET_BASE_BYTES_MAX: usize = 80;

/// A folder to work in and the user who does.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Ours: holds the log, the port and the password.
    pub dir: PathBuf,
    /// Postgres' own, mode 0700.
    pub data: PathBuf,
    /// The folder of the Unix socket.
    pub sockets: PathBuf,
    /// Who runs the server.
    pub identity: Identity,
}

impl Place {
    /// Makes the folders, or finds them as an earlier run left them.
    pub fn prepare(dir: &Path) -> Result<Place, PostgresError> {
        fs::create_dir_all(dir).map_err(at(dir))?;
        let dir = dir.canonicalize().map_err(at(dir))?;
        let identity = identity()?;
        let short = short_name(&dir);
        let base = match fs::read_to_string(dir.join(POINTER)) {
            Ok(elsewhere) => PathBuf::from(elsewhere.trim()),
            Err(_) if can_reach(&identity, &dir) => dir.clone(),
            Err(_) => {
                let elsewhere = PathBuf::from("/var/tmp").join(format!("arcadia-{short}"));
                eprintln!(
                    "postgres: its user cannot reach {}, so the data goes to {}",
                    dir.display(),
                    elsewhere.display()
                );
                fs::write(dir.join(POINTER), elsewhere.to_string_lossy().as_bytes()).map_err(at(&dir))?;
                elsewhere
            }
        };
        make_ours(&base)?;
        let data = base.join("data");
        make_theirs(&data, 0o700, &identity)?;
        let sockets = if base.as_os_str().len() < SOCKET_BASE_BYTES_MAX {
            base.join("s")
        } else {
            let elsewhere = socket_base(&short);
            make_ours(&elsewhere)?;
            elsewhere.join("s")
        };
        make_theirs(&sockets, 0o755, &identity)?;
        Ok(Place { dir, data, sockets, identity })
    }

    /// Deletes what an interrupted initdb left.
    pub fn empty_data(&self) -> Result<(), PostgresError> {
        remove_if_there(&self.data).map_err(at(&self.data))?;
        make_theirs(&self.data, 0o700, &self.identity)
    }
}

/// Where the socket goes when the data's folder has too long a path.
fn socket_base(short: &str) -> PathBuf {
    Path::new("/tmp").join(format!("arcadia-{short}"))
}

/// Deletes all that a server in this folder left, also what lives elsewhere. It must not run.
pub fn remove(dir: &Path) -> std::io::Result<()> {
    let Ok(dir) = dir.canonicalize() else { return Ok(()) };
    if let Ok(elsewhere) = fs::read_to_string(dir.join(POINTER)) {
        remove_if_there(Path::new(elsewhere.trim()))?;
    }
    remove_if_there(&socket_base(&short_name(&dir)))?;
    remove_if_there(&dir)
}

fn remove_if_there(dir: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A short name that is the same for the same folder in every run.
fn short_name(dir: &Path) -> String {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, dir.as_os_str().as_encoded_bytes());
    id.simple().to_string()[..12].to_owned()
}

/// The user that runs Postgres: ourselves, or for root the usual user, or nobody.
fn identity() -> Result<Identity, PostgresError> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(Identity::Current);
    }
    let user = ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten());
    let user = user.ok_or(PostgresError::NoUser)?;
    Ok(Identity::Other { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
}

/// Asks as that user, since access depends on every folder above and on more than mode bits.
fn can_reach(identity: &Identity, dir: &Path) -> bool {
    if *identity == Identity::Current {
        return true;
    }
    let probe = |mut command: Command| {
        command.arg("-x").arg(dir).current_dir("/").stdin(Stdio::null()).stderr(Stdio::null()).status()
    };
    crate::process::find_in_path("test")
        .and_then(|test| crate::process::command(&test, identity, Signal::SIGTERM).ok())
        .and_then(|command| probe(command).ok())
        .is_some_and(|status| status.success())
}

/// A folder that we own and everybody may pass through. The places where it can be are open to all, so a folder that
/// somebody else put there first is refused.
fn make_ours(dir: &Path) -> Result<(), PostgresError> {
    match fs::DirBuilder::new().mode(0o755).create(dir) {
        Ok(()) => fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).map_err(at(dir)),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let owner = fs::symlink_metadata(dir).map_err(at(dir))?;
            if owner.is_dir() && owner.uid() == nix::unistd::geteuid().as_raw() {
                Ok(())
            } else {
                Err(at(dir)(std::io::Error::other("it belongs to another user")))
            }
        }
        Err(error) => Err(at(dir)(error)),
    }
}

fn make_theirs(dir: &Path, mode: u32, identity: &Identity) -> Result<(), PostgresError> {
    if !dir.exists() {
        fs::DirBuilder::new().mode(mode).create(dir).map_err(at(dir))?;
        fs::set_permissions(dir, fs::Permissions::from_mode(mode)).map_err(at(dir))?;
    }
    give(dir, identity)
}

/// Makes that user the owner of a file or folder.
pub(super) fn give(path: &Path, identity: &Identity) -> Result<(), PostgresError> {
    match identity {
        Identity::Current => Ok(()),
        Identity::Other { uid, gid } => chown(path, Some(*uid), Some(*gid)).map_err(at(path)),
    }
}
