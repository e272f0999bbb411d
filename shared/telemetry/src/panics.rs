//! A panic is one line of the log and a metric; nobody else is told what it said.

use std::panic::{PanicHookInfo, set_hook};

/// Replaces the hook that prints to standard error in a shape of its own.
pub(crate) fn install() {
    set_hook(Box::new(|panic| {
        metrics::counter!("panics_total").increment(1);
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(
            panic.location = location,
            panic.thread = thread.name().unwrap_or_default(),
            "panicked: {}",
            message(panic)
        );
    }));
}

fn message<'a>(panic: &'a PanicHookInfo<'_>) -> &'a str {
    panic.payload_as_str().unwrap_or("without a message")
}
