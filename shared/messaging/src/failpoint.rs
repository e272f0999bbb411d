//! Named places where a test has the process die, as a power cut would have it. In release builds they are
//! nothing.

use std::{ffi::OsString, sync::OnceLock};

/// The environment variable that names the place.
pub const VARIABLE: &str = "ARCADIA_FAILPOINT";

/// Every place. A test that dies at each of them fails when one is never reached.
pub const ALL: [&str; 9] = [
    "outbox.read",
    "outbox.published",
    "perform.intended",
    "perform.called",
    "perform.recorded",
    "handle.handled",
    "handle.committed",
    "follow.taken",
    "follow.committed",
];

static CHOSEN: OnceLock<Option<OsString>> = OnceLock::new();

/// Dies here if this is the chosen place.
pub fn reach(name: &'static str) {
    debug_assert!(ALL.contains(&name), "{name} is not listed");
    if cfg!(debug_assertions)
        && CHOSEN.get_or_init(|| std::env::var_os(VARIABLE)).as_deref() == Some(name.as_ref())
    {
        eprintln!("died at {name}");
        std::process::abort();
    }
}
