//! A Postgres server of our own: made, started, stopped, killed and started again on the same port.

mod place;
mod server;

pub use place::remove;
pub use server::{Options, Postgres, Shutdown};

use crate::install::InstallError;
use std::io;
use std::path::PathBuf;

/// Why Postgres could not be made or started.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The programs are missing.
    #[error("find Postgres")]
    Install(#[from] InstallError),
    /// A file or folder of the server.
    #[error("use {path}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Postgres refuses to run as root, and no other user could be found.
    #[error(
        "postgres does not run as root, and there is no user `postgres` or `nobody`; run: useradd --system postgres"
    )]
    NoUser,
    /// initdb failed.
    #[error("initdb failed ({status}): {output}")]
    Initdb {
        /// How it ended.
        status: String,
        /// What it printed.
        output: String,
    },
    /// The server ended while starting.
    #[error("postgres ended while starting ({status}); the end of {log}: {tail}")]
    Ended {
        /// How it ended.
        status: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines.
        tail: String,
    },
    /// The server did not answer in time.
    #[error("postgres did not answer within {seconds} s; see {log}")]
    NotReady {
        /// How long we waited.
        seconds: u64,
        /// Its log file.
        log: PathBuf,
    },
    /// Another server runs on the same data and does not go away.
    #[error("another postgres (process {pid}) still runs in {data}; run: kill -INT {pid}")]
    InUse {
        /// That server.
        pid: i32,
        /// The data folder.
        data: PathBuf,
    },
}

/// Turns an input or output error at a path into ours.
fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> PostgresError {
    let path = path.into();
    move |source| PostgresError::Io { path, source }
}
