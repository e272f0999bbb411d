//! A secret: read from a variable, a flag or a file, and shown to nobody.

use std::{convert::Infallible, fmt, fs, marker::PhantomData, path::PathBuf};

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use secrecy::{ExposeSecret, SecretString};

use crate::parse::refuse;

/// Names a secret; implemented by an empty type per secret.
///
/// ```
/// struct JwtSecret;
/// impl service_config::SecretName for JwtSecret {
///     const VARIABLE: &'static str = "JWT_SECRET";
///     const HELP: &'static str = "What user tokens are signed with";
/// }
///
/// #[derive(clap::Parser)]
/// struct Config {
///     #[command(flatten)]
///     jwt_secret: service_config::Secret<JwtSecret>,
/// }
/// ```
pub trait SecretName: Send + Sync + 'static {
    /// The environment variable. The flag is the same in lower case with hyphens; the file has `_FILE` behind.
    const VARIABLE: &'static str;
    /// What it is, for `--help`.
    const HELP: &'static str;
}

/// A secret that must be given.
pub struct Secret<N>(SecretString, PhantomData<fn() -> N>);

/// A secret that may be left out. An empty variable counts as left out.
pub struct OptionalSecret<N>(Option<SecretString>, PhantomData<fn() -> N>);

impl<N> Secret<N> {
    /// The secret, for whoever needs it.
    pub fn get(&self) -> &SecretString {
        &self.0
    }
}

impl<N> OptionalSecret<N> {
    /// The secret, for whoever needs it; `None` when it was left out.
    pub fn get(&self) -> Option<&SecretString> {
        self.0.as_ref()
    }
}

impl<N> Clone for Secret<N> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<N> Clone for OptionalSecret<N> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<N: SecretName> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (redacted)", N::VARIABLE)
    }
}

impl<N: SecretName> fmt::Debug for OptionalSecret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.0.is_some() { "redacted" } else { "not given" };
        write!(f, "{} ({state})", N::VARIABLE)
    }
}

impl<N: SecretName> Args for Secret<N> {
    fn augment_args(command: Command) -> Command {
        arguments::<N>(command, "Required, here or in the file.")
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<N: SecretName> Args for OptionalSecret<N> {
    fn augment_args(command: Command) -> Command {
        arguments::<N>(command, "May be left out.")
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<N: SecretName> FromArgMatches for Secret<N> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match read::<N>(matches).map_err(|error| refuse(error.to_string()))? {
            Some(secret) => Ok(Self(secret, PhantomData)),
            None => Err(refuse(format!("{} or {} must be set", N::VARIABLE, file_variable::<N>()))),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<N: SecretName> FromArgMatches for OptionalSecret<N> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let secret = read::<N>(matches).map_err(|error| refuse(error.to_string()))?;
        Ok(Self(secret, PhantomData))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn file_variable<N: SecretName>() -> String {
    format!("{}_FILE", N::VARIABLE)
}

fn flag(variable: &str) -> String {
    variable.to_lowercase().replace('_', "-")
}

fn arguments<N: SecretName>(command: Command, necessity: &str) -> Command {
    // Kept as a secret from the first moment: no error of clap's can quote it.
    let secret = |text: &str| Ok::<_, Infallible>(SecretString::from(text));
    command
        .arg(
            Arg::new(N::VARIABLE)
                .long(flag(N::VARIABLE))
                .env(N::VARIABLE)
                .hide_env_values(true)
                .value_name(N::VARIABLE)
                .value_parser(secret)
                .help(format!("{} (secret). {necessity}", N::HELP)),
        )
        .arg(
            Arg::new(file_variable::<N>())
                .long(flag(&file_variable::<N>()))
                .env(file_variable::<N>())
                .value_name(file_variable::<N>())
                .value_parser(clap::value_parser!(PathBuf))
                .help(format!("A file that holds {} instead", N::VARIABLE)),
        )
}

/// A secret could not be read.
#[derive(Debug, thiserror::Error)]
enum SecretError {
    #[error("{0} and {1} are both set; keep one")]
    Both(&'static str, String),
    #[error("{0}: read {1}: {2}")]
    File(String, PathBuf, std::io::ErrorKind),
    #[error("{0}: the file {1} is empty")]
    Empty(String, PathBuf),
}

fn read<N: SecretName>(matches: &ArgMatches) -> Result<Option<SecretString>, SecretError> {
    // An empty variable is how compose files and units say "not set".
    let value =
        matches.get_one::<SecretString>(N::VARIABLE).filter(|secret| !secret.expose_secret().is_empty());
    let file = matches.get_one::<PathBuf>(&file_variable::<N>()).filter(|path| !path.as_os_str().is_empty());
    match (value, file) {
        (Some(_), Some(_)) => Err(SecretError::Both(N::VARIABLE, file_variable::<N>())),
        (Some(value), None) => Ok(Some(value.clone())),
        (None, Some(path)) => {
            let text = fs::read_to_string(path)
                .map_err(|error| SecretError::File(file_variable::<N>(), path.clone(), error.kind()))?;
            // Editors and `echo` end a file with a newline; no secret does.
            let text = SecretString::from(text);
            let trimmed = text.expose_secret().trim_end_matches(['\n', '\r']);
            if trimmed.is_empty() {
                return Err(SecretError::Empty(file_variable::<N>(), path.clone()));
            }
            Ok(Some(SecretString::from(trimmed)))
        }
        (None, None) => Ok(None),
    }
}
