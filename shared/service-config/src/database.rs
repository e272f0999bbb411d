//! Where the service's own Postgres schema is.

use clap::{ArgMatches, Args, Command, FromArgMatches};
use secrecy::{ExposeSecret, SecretString};

use crate::{Secret, SecretName, parse::refuse, urls::postgres_url};

/// `DATABASE_URL`: a `postgres://` address with the service's login role and password.
#[derive(Debug, Clone)]
pub struct Database {
    url: Secret<DatabaseUrl>,
}

struct DatabaseUrl;

impl SecretName for DatabaseUrl {
    const VARIABLE: &'static str = "DATABASE_URL";
    const HELP: &'static str =
        "Postgres, with the service's login role: postgres://ROLE:PASSWORD@HOST/DATABASE";
}

impl Database {
    /// The address, password included.
    pub fn url(&self) -> &SecretString {
        self.url.get()
    }
}

impl Args for Database {
    fn augment_args(command: Command) -> Command {
        Secret::<DatabaseUrl>::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Database {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let url = Secret::<DatabaseUrl>::from_arg_matches(matches)?;
        postgres_url(url.get().expose_secret())
            .map_err(|error| refuse(format!("{}: {error}", DatabaseUrl::VARIABLE)))?;
        Ok(Self { url })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
