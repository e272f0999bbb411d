//! What syncer is told at start. Everything is checked before a socket opens.

use clap::Parser;
use digitalocean::{BudgetSize, SettingsError};
use service_config::{Database, Nats, Operations, OptionalSecret, SecretName};
use url::Url;

use crate::provider::{Provider, Tokens};

/// The inventory of the DigitalOcean account, and every change to it.
#[derive(Debug, Clone, Parser)]
#[command(name = "syncer", version, about)]
pub struct Config {
    /// Where the provider's API is, without /v2.
    #[arg(
        id = "DIGITALOCEAN_URL",
        long = "digitalocean-url",
        env = "DIGITALOCEAN_URL",
        value_name = "DIGITALOCEAN_URL",
        default_value = "https://api.digitalocean.com",
        value_parser = service_config::http_url
    )]
    pub digitalocean_url: Url,

    /// The token of every purpose that has none of its own.
    #[command(flatten)]
    pub token: OptionalSecret<Token>,

    /// The token for droplets.
    #[command(flatten)]
    pub token_sync_fast: OptionalSecret<TokenSyncFast>,

    /// The token for everything else that is listed.
    #[command(flatten)]
    pub token_sync_full: OptionalSecret<TokenSyncFull>,

    /// The token for changes to the account.
    #[command(flatten)]
    pub token_provisioning: OptionalSecret<TokenProvisioning>,

    /// Requests a minute that a token may make; the provider allows 250.
    #[arg(id = "DO_BUDGET_PER_MINUTE", long = "do-budget-per-minute", env = "DO_BUDGET_PER_MINUTE", value_name = "DO_BUDGET_PER_MINUTE", default_value_t = 250, value_parser = clap::value_parser!(u32).range(1..))]
    pub budget_per_minute: u32,

    /// Requests an hour that a token may make; the provider allows 5000.
    #[arg(id = "DO_BUDGET_PER_HOUR", long = "do-budget-per-hour", env = "DO_BUDGET_PER_HOUR", value_name = "DO_BUDGET_PER_HOUR", default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..))]
    pub budget_per_hour: u32,

    /// The service's own Postgres schema.
    #[command(flatten)]
    pub database: Database,

    /// NATS.
    #[command(flatten)]
    pub nats: Nats,

    /// Health, metrics, log, traces.
    #[command(flatten)]
    pub operations: Operations,
}

macro_rules! secret_name {
    ($name:ident, $variable:literal, $help:literal) => {
        #[doc = $help]
        #[derive(Debug, Clone)]
        pub struct $name;

        impl SecretName for $name {
            const VARIABLE: &'static str = $variable;
            const HELP: &'static str = $help;
        }
    };
}

secret_name!(Token, "DO_API_TOKEN", "DigitalOcean token of every purpose that has none of its own");
secret_name!(TokenSyncFast, "DO_API_TOKEN_SYNC_FAST", "DigitalOcean token for droplets, every minute");
secret_name!(TokenSyncFull, "DO_API_TOKEN_SYNC_FULL", "DigitalOcean token for all other listings");
secret_name!(TokenProvisioning, "DO_API_TOKEN_PROVISIONING", "DigitalOcean token for changes to the account");

/// The provider cannot be used with these settings.
#[derive(Debug, thiserror::Error)]
pub enum ProviderConfigError {
    /// A purpose has neither a token of its own nor the common one.
    #[error("{0} or DO_API_TOKEN must be set (or the same with _FILE)")]
    NoToken(&'static str),
    /// An address, token or budget is of no use.
    #[error("DIGITALOCEAN_URL, or a DO_API_TOKEN")]
    Settings(#[from] SettingsError),
}

impl Config {
    /// The provider's clients.
    pub fn provider(&self) -> Result<Provider, ProviderConfigError> {
        let common = self.token.get();
        let token = |own: Option<&secrecy::SecretString>, variable| {
            own.or(common).cloned().ok_or(ProviderConfigError::NoToken(variable))
        };
        let tokens = Tokens {
            sync_fast: token(self.token_sync_fast.get(), TokenSyncFast::VARIABLE)?,
            sync_full: token(self.token_sync_full.get(), TokenSyncFull::VARIABLE)?,
            provisioning: token(self.token_provisioning.get(), TokenProvisioning::VARIABLE)?,
        };
        let budget = BudgetSize { per_minute: self.budget_per_minute, per_hour: self.budget_per_hour };
        Ok(Provider::new(&self.digitalocean_url, tokens, budget)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [&str; 9] = [
        "syncer",
        "--database-url",
        "postgres://syncer:x@localhost/arcadia",
        "--nats-url",
        "nats://localhost:4222",
        "--nats-user",
        "syncer",
        "--nats-password",
        "x",
    ];

    fn provider(more: &[&str]) -> Result<Provider, String> {
        let arguments = REQUIRED.iter().chain(more);
        let config: Config = service_config::try_parse_from(arguments).map_err(|stop| stop.message)?;
        config.provider().map_err(|error| error.to_string())
    }

    #[test]
    fn a_purpose_without_a_token_uses_the_common_one() {
        assert!(provider(&["--do-api-token", "t"]).is_ok());
        assert!(
            provider(&[
                "--do-api-token-sync-fast",
                "a",
                "--do-api-token-sync-full",
                "b",
                "--do-api-token-provisioning",
                "c",
            ])
            .is_ok()
        );
    }

    #[test]
    fn no_token_at_all_is_refused_and_none_is_shown() {
        let missing = provider(&["--do-api-token-sync-fast", "a"]).unwrap_err();
        assert_eq!(missing, "DO_API_TOKEN_SYNC_FULL or DO_API_TOKEN must be set (or the same with _FILE)");
        let config: Config =
            service_config::try_parse_from(REQUIRED.iter().chain(&["--do-api-token", "dop_v1_secret"]))
                .unwrap();
        assert!(!format!("{config:?} {:?}", config.provider()).contains("dop_v1_secret"));
    }
}
