//! `cargo arcadia token`: a token for curl, signed with the secret of the running system.

use crate::environment;
use crate::state::StateDir;
use crate::token::{OPERATOR_ROLE, TokenRequest, mint, parse_ttl};
use anyhow::Context;
use chrono::Utc;
use contracts::TenantId;
use std::path::PathBuf;
use std::time::Duration;

/// What the token should say.
#[derive(Debug, clap::Args)]
pub struct TokenOptions {
    /// Whose data it opens.
    #[arg(long, default_value = "platform")]
    pub tenant: TenantId,
    /// Make the bearer an operator, who sees every tenant.
    #[arg(long)]
    pub operator: bool,
    /// Another role; may be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
    /// How long it is good for: 90s, 15m, 12h, 7d.
    #[arg(long, value_parser = parse_ttl, default_value = "12h")]
    pub ttl: Duration,
    /// The state folder [default: .arcadia in the checkout].
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// Prints the token alone, so that a shell can take it.
pub fn run(options: &TokenOptions) -> anyhow::Result<()> {
    let state = StateDir::open(options.state.as_deref())?;
    let variables = environment::read(&state.env_file())?;
    let missing = || format!("{} has no secret; is the system running?", state.env_file().display());
    let secret = variables.get("JWT_SECRET").with_context(missing)?;
    let issuer = variables.get("JWT_ISSUER").with_context(missing)?;
    let mut roles = options.roles.clone();
    if options.operator {
        roles.push(OPERATOR_ROLE.to_owned());
    }
    let request = TokenRequest {
        tenant: options.tenant.clone(),
        roles,
        ttl: options.ttl,
        issuer: issuer.clone(),
        audience: issuer.clone(),
    };
    println!("{}", mint(&request, secret, Utc::now())?);
    Ok(())
}
