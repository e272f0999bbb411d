//! Our own binaries, as processes.

use std::{fs::File, path::PathBuf, process::Command};

use local::process::Process;
use tempfile::TempDir;

/// The built binary of this name, beside the running test.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a process knows its file");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("tests lie in target/<profile>/deps");
    let file = folder.join(name);
    let profile = if folder.ends_with("release") { " --release" } else { "" };
    assert!(file.is_file(), "{} is not built: cargo build --workspace --bins{profile}", file.display());
    file
}

/// A running binary whose output goes to a file; killed when dropped.
pub struct Program {
    /// The process.
    pub process: Process,
    /// What it prints.
    pub output: PathBuf,
    _folder: TempDir,
}

impl Program {
    /// Starts a binary with these arguments and this environment alone.
    pub fn start<'a>(
        name: &str,
        arguments: &[&str],
        environment: impl IntoIterator<Item = (&'a str, String)>,
    ) -> Self {
        Self::start_prepared(name, arguments, environment, |_| {})
    }

    /// Starts a binary after `prepare` had its way with the command.
    pub fn start_prepared<'a>(
        name: &str,
        arguments: &[&str],
        environment: impl IntoIterator<Item = (&'a str, String)>,
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let output = folder.path().join("output");
        let file = File::create(&output).expect("a file in our own folder");
        let mut command = Command::new(binary(name));
        command.args(arguments).env_clear().envs(environment);
        command.stdout(file.try_clone().expect("a file can be cloned")).stderr(file);
        command.stdin(std::process::Stdio::null());
        prepare(&mut command);
        let process = Process::spawn_with_stdin(name, command).expect("the binary starts");
        Self { process, output, _folder: folder }
    }

    /// Everything it has printed so far.
    pub fn printed(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.process.signal(nix::sys::signal::Signal::SIGKILL);
        if std::thread::panicking() {
            eprintln!("--- {} printed:\n{}", self.process.name(), self.printed());
        }
    }
}
