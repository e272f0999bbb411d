//! What a person sees: steps with the time that has passed, and the services' log lines with a prefix.

use serde_json::Value;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::Instant;

/// Wide enough for the longest name, `saga-orchestrator`.
const NAME_WIDTH: usize = 17;

/// ANSI colours that are readable on light and dark ground; a name always gets the same.
const COLOURS: [u8; 6] = [36, 35, 34, 32, 33, 96];

/// Standard output, shared by everything that speaks.
#[derive(Debug, Clone)]
pub struct Console {
    started: Instant,
    coloured: bool,
    /// Whether log lines are shown, or only kept in files.
    logs: bool,
}

impl Console {
    /// Time counts from here.
    pub fn new(logs: bool) -> Console {
        let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Console { started: Instant::now(), coloured, logs }
    }

    /// Starts the clock anew, as when everything is built.
    pub fn restart_clock(&mut self) {
        self.started = Instant::now();
    }

    /// A step that is done, or that now begins and may take a while.
    pub fn step(&self, name: &str, what: impl Display) {
        let seconds = self.started.elapsed().as_secs_f32();
        self.print(&format!("{seconds:6.1} s  {} {what}", self.prefix(name)));
    }

    /// A line of somebody's log.
    pub fn log(&self, name: &str, line: &str) {
        if self.logs {
            self.print(&format!("{} {}", self.prefix(name), readable(line)));
        }
    }

    /// A line as it is.
    pub fn print(&self, line: &str) {
        let mut out = std::io::stdout().lock();
        // Whoever reads our output may have gone; the system runs on without a reader.
        writeln!(out, "{line}").and_then(|()| out.flush()).ok();
    }

    fn prefix(&self, name: &str) -> String {
        if !self.coloured {
            return format!("{name:<NAME_WIDTH$} |");
        }
        let sum = name.bytes().map(usize::from).sum::<usize>();
        format!("\x1b[{}m{name:<NAME_WIDTH$} |\x1b[0m", COLOURS[sum % COLOURS.len()])
    }
}

/// A log line for people: services write JSON when no terminal listens, and the files keep it.
///
/// What is no JSON stays as it is.
pub fn readable(line: &str) -> String {
    let Ok(Value::Object(mut event)) = serde_json::from_str::<Value>(line) else { return line.to_owned() };
    let mut take = |name: &str| event.remove(name).and_then(|value| value.as_str().map(str::to_owned));
    let (Some(level), Some(message)) = (take("level"), take("message")) else { return line.to_owned() };
    let mut text = format!("{level:<5} {message}");
    let said_otherwise = ["timestamp", "service", "target", "trace_id", "spans"];
    for (name, value) in event.iter().filter(|(name, _)| !said_otherwise.contains(&name.as_str())) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.push_str(&format!(" {name}={value}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_line_becomes_level_message_and_fields_and_any_other_line_stays() {
        let line = r#"{"timestamp":"t","level":"INFO","service":"syncer","target":"walk","listing":"volumes",
                       "listing.seen":4,"message":"listing complete","spans":[{"name":"x"}]}"#;
        assert_eq!(readable(line), "INFO  listing complete listing=volumes listing.seen=4");
        for other in ["plain text", r#"{"url":"http://127.0.0.1:1"}"#, "[1]"] {
            assert_eq!(readable(other), other);
        }
    }
}
