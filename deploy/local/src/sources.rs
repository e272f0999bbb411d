//! Where this checkout is: the folders that the development tools read at run time.

use std::path::PathBuf;

/// The root of the checkout that this binary was built from.
///
/// Known at compile time, because the crate is only ever run by `cargo` out of its own checkout.
pub fn repo_root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .canonicalize()
        .expect("the checkout that built this binary is still where it was")
}

/// The hand-written and generated NATS files: server.conf, users.conf, streams, schedules.
pub fn nats_dir() -> PathBuf {
    repo_root().join("nats")
}

/// The migrations, a folder per service.
pub fn migrations_dir() -> PathBuf {
    repo_root().join("migrations")
}
