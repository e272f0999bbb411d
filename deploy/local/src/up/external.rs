//! NATS and Postgres that somebody else runs, named by the environment.

use crate::{environment, nats};
use anyhow::{Context, bail};
use contracts::permissions::password_variable;
use std::collections::BTreeMap;

/// Where the two servers are and how to log in.
#[derive(Debug)]
pub struct External {
    /// NATS.
    pub nats_url: String,
    /// The passwords that nats-server was configured with.
    pub nats_passwords: nats::Passwords,
    /// A role that may make roles and databases.
    pub database_url: String,
}

impl External {
    /// Reads it, or names all that is missing at once.
    pub fn from_env() -> anyhow::Result<External> {
        let mut missing = Vec::new();
        let mut take = |name: &str| {
            environment::of_the_shell(name).unwrap_or_else(|| {
                missing.push(name.to_owned());
                String::new()
            })
        };
        let (nats_url, database_url) = (take("NATS_URL"), take("DATABASE_URL"));
        let users = nats::users();
        let passwords: BTreeMap<String, String> =
            users.map(|user| (user.to_owned(), take(&password_variable(user)))).collect();
        if !missing.is_empty() {
            bail!("--external needs these variables: {}", missing.join(", "));
        }
        url::Url::parse(&database_url).context("read DATABASE_URL")?;
        Ok(External { nats_url, nats_passwords: nats::Passwords::from(passwords), database_url })
    }
}
