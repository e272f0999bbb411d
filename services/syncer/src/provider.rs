//! The provider's clients, one per purpose, so that no purpose can use up another's rate limit.

use std::sync::Arc;

use digitalocean::{BudgetSize, Budgets, Client, Limits, Purpose, Settings, SettingsError};
use secrecy::SecretString;
use url::Url;

/// The clients that syncer works with.
#[derive(Debug, Clone)]
pub struct Provider {
    /// For what is looked at every minute.
    pub sync_fast: Client,
    /// For the rest of the inventory.
    pub sync_full: Client,
    /// For every change to the account.
    pub provisioning: Client,
}

/// A token per purpose; purposes may share one.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// For what is looked at every minute.
    pub sync_fast: SecretString,
    /// For the rest of the inventory.
    pub sync_full: SecretString,
    /// For every change to the account.
    pub provisioning: SecretString,
}

impl Provider {
    /// Sets the clients up; nothing is sent. Purposes that share a token share its budget.
    pub fn new(base_url: &Url, tokens: Tokens, budget: BudgetSize) -> Result<Self, SettingsError> {
        let budgets = Budgets::new(budget);
        let client = |token: SecretString, purpose| {
            let limits = Limits {
                budget_per_minute: budget.per_minute,
                budget_per_hour: budget.per_hour,
                ..Limits::default()
            };
            Client::new(Settings {
                limits,
                budget: Some(Arc::clone(&budgets.for_token(&token))),
                trace_header: Some(telemetry::propagation::current_traceparent),
                ..Settings::new(base_url.clone(), token, purpose)
            })
        };
        Ok(Self {
            sync_fast: client(tokens.sync_fast, Purpose::SyncFast)?,
            sync_full: client(tokens.sync_full, Purpose::SyncFull)?,
            provisioning: client(tokens.provisioning, Purpose::Provisioning)?,
        })
    }
}
