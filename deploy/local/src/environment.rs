//! `<state>/env`: the variables of a running system, to be sourced in a shell and read by our own commands.

use crate::state::StateDir;
use anyhow::Context;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The file, kept current while the system runs: process ids change when a service is started again.
#[derive(Debug, Clone)]
pub struct EnvironmentFile {
    state: StateDir,
    variables: Arc<Mutex<BTreeMap<String, String>>>,
}

impl EnvironmentFile {
    /// An empty file; what an earlier run left in it is no longer true.
    pub fn create(state: &StateDir) -> anyhow::Result<EnvironmentFile> {
        let file = EnvironmentFile { state: state.clone(), variables: Arc::default() };
        file.set([])?;
        Ok(file)
    }

    /// Sets variables and writes the file.
    pub fn set(&self, new: impl IntoIterator<Item = (String, String)>) -> anyhow::Result<()> {
        let mut variables = self.variables.lock().unwrap_or_else(PoisonError::into_inner);
        variables.extend(new);
        self.state.write_private("env", render(&variables).as_bytes())
    }
}

fn render(variables: &BTreeMap<String, String>) -> String {
    variables
        .iter()
        .map(|(name, value)| format!("export {name}='{}'\n", value.replace('\'', r"'\''")))
        .collect()
}

/// A variable of the shell that started us; an empty one counts as absent, and so does one that is no text.
pub fn of_the_shell(name: &str) -> Option<String> {
    std::env::var_os(name)?.into_string().ok().filter(|value| !value.is_empty())
}

/// What the variables of a service, server or NATS user begin with: `SAGA_ORCHESTRATOR`.
pub fn variable_prefix(name: &str) -> String {
    name.replace('-', "_").to_ascii_uppercase()
}

/// Reads such a file back.
pub fn read(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(path).with_context(|| {
        format!("read {}; is the system running? start it with `cargo up`", path.display())
    })?;
    Ok(parse(&text))
}

fn parse(text: &str) -> BTreeMap<String, String> {
    let assignments = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    assignments
        .map(|(name, value)| {
            let value = value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')).unwrap_or(value);
            (name.to_owned(), value.replace(r"'\''", "'"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_quotes_and_spaces_comes_back_as_it_was() {
        let variables = BTreeMap::from([("A".to_owned(), "it's $HOME = `x`".to_owned())]);
        assert_eq!(render(&variables), "export A='it'\\''s $HOME = `x`'\n");
        assert_eq!(parse(&render(&variables)), variables);
    }
}
