//! What each child is run with: the environment that the services' configuration documents.

use super::SystemOptions;
use super::build::binary;
use super::supervised::Spec;
use crate::environment::of_the_shell;
use crate::ports;
use crate::state::{Secrets, StateDir};
use crate::{migrate, nats};
use anyhow::Context;
use contracts::{Service, permissions::METERER_USAGE};
use std::net::TcpListener;

/// Who signs user tokens.
pub const JWT_ISSUER: &str = "arcadia";

/// The provider's API and the simulator's own door, if it is the simulator.
#[derive(Debug, Clone)]
pub struct Provider {
    /// The API.
    pub url: String,
    /// Where the simulator is told what to simulate.
    pub control_url: Option<String>,
    /// `DO_API_TOKEN` and the tokens per purpose.
    pub tokens: Vec<(String, String)>,
}

/// The tokens per purpose that may be given besides `DO_API_TOKEN`.
const PROVIDER_TOKENS: [&str; 5] = [
    "DO_API_TOKEN",
    "DO_API_TOKEN_SYNC_FAST",
    "DO_API_TOKEN_SYNC_FULL",
    "DO_API_TOKEN_PROVISIONING",
    "DO_API_TOKEN_BILLING",
];

impl Provider {
    /// The provider of `--provider`, with the tokens of the environment.
    pub fn real(url: &str) -> anyhow::Result<Provider> {
        let given = |name: &&str| of_the_shell(name).map(|token| ((*name).to_owned(), token));
        let tokens: Vec<(String, String)> = PROVIDER_TOKENS.iter().filter_map(given).collect();
        let has_default = tokens.first().is_some_and(|(name, _)| name == PROVIDER_TOKENS[0]);
        anyhow::ensure!(has_default, "--provider needs a token in {}", PROVIDER_TOKENS[0]);
        Ok(Provider { url: url.to_owned(), control_url: None, tokens })
    }
}

/// Where everything else is.
#[derive(Debug)]
pub struct Endpoints {
    /// NATS.
    pub nats_url: String,
    /// Its users.
    pub nats_passwords: nats::Passwords,
    /// The administrator's URL of the server with our databases.
    pub database_url: String,
    /// How the services are spread over databases.
    pub layout: migrate::Layout,
    /// The provider.
    pub provider: Provider,
    /// The finance service.
    pub finance_url: String,
}

impl Endpoints {
    /// A service's own database, as its own login role.
    pub fn database_url(&self, service: Service, secrets: &Secrets) -> anyhow::Result<String> {
        let mut url = url::Url::parse(&self.database_url).context("read the database URL")?;
        url.set_path(&self.layout.database(service));
        let set =
            url.set_username(service.sql_name()).and(url.set_password(Some(secrets.database.of(service))));
        set.ok().context("the database URL takes no user")?;
        Ok(url.into())
    }
}

/// A simulator's spec and where it will listen.
#[derive(Debug)]
pub struct Simulator {
    /// To run it.
    pub spec: Spec,
    /// Its API.
    pub url: String,
    /// Its control door.
    pub control_url: String,
}

/// The provider's simulator with a demonstration account.
pub fn digitalocean_sim(state: &StateDir, secrets: &Secrets) -> anyhow::Result<Simulator> {
    let (port, control) = (ports::free()?, ports::free()?);
    let folder = state.folder("digitalocean-sim");
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let (url, control_url) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{control}"));
    let args = vec![
        "--addr".to_owned(),
        format!("127.0.0.1:{port}"),
        "--control-addr".to_owned(),
        format!("127.0.0.1:{control}"),
        "--tokens".to_owned(),
        secrets.digitalocean_token.clone(),
        "--state".to_owned(),
        folder.join("state.json").to_string_lossy().into_owned(),
        "--demo".to_owned(),
    ];
    let spec = Spec {
        name: "digitalocean-sim",
        program: binary("digitalocean-sim")?,
        args,
        env: vec![log_filter()],
        listener: None,
        ready_url: format!("{control_url}/sim/health"),
    };
    Ok(Simulator { spec, url, control_url })
}

/// The finance service's simulator.
pub fn finance_sim(secrets: &Secrets) -> anyhow::Result<Simulator> {
    let (port, control) = (ports::free()?, ports::free()?);
    let (url, control_url) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{control}"));
    let spec = Spec {
        name: "finance-sim",
        program: binary("finance-sim")?,
        args: vec![
            "--addr".to_owned(),
            format!("127.0.0.1:{port}"),
            "--control-addr".to_owned(),
            format!("127.0.0.1:{control}"),
        ],
        env: vec![log_filter(), ("FINANCE_JWT_SECRET".to_owned(), secrets.finance_jwt.clone())],
        listener: None,
        ready_url: format!("{control_url}/sim/health"),
    };
    Ok(Simulator { spec, url, control_url })
}

/// One of the five services.
pub fn service(
    service: Service,
    options: &SystemOptions,
    endpoints: &Endpoints,
    secrets: &Secrets,
    listener: &TcpListener,
) -> anyhow::Result<Spec> {
    let ops_port = ports::free()?;
    let mut env = vec![
        log_filter(),
        ("NATS_URL".to_owned(), endpoints.nats_url.clone()),
        ("NATS_USER".to_owned(), service.name().to_owned()),
        ("NATS_PASSWORD".to_owned(), endpoints.nats_passwords.of(service.name()).to_owned()),
        ("OPS_ADDR".to_owned(), format!("127.0.0.1:{ops_port}")),
    ];
    if Service::OWNERS.contains(&service) {
        env.push(("DATABASE_URL".to_owned(), endpoints.database_url(service, secrets)?));
    }
    let provider = &endpoints.provider;
    let tokens = |purposes: &'static [&'static str]| {
        provider.tokens.iter().filter(move |(name, _)| purposes.contains(&name.as_str())).cloned()
    };
    match service {
        Service::Syncer => {
            env.push(("DIGITALOCEAN_URL".to_owned(), provider.url.clone()));
            // All but billing: the syncer may not spend the biller's rate limit.
            env.extend(tokens(&PROVIDER_TOKENS[..4]));
        }
        Service::Biller => {
            env.push(("DIGITALOCEAN_URL".to_owned(), provider.url.clone()));
            env.extend(tokens(&["DO_API_TOKEN", "DO_API_TOKEN_BILLING"]));
            env.push(("SKYAI_FINANCE_URL".to_owned(), endpoints.finance_url.clone()));
            env.push(("FINANCE_JWT_SECRET".to_owned(), secrets.finance_jwt.clone()));
        }
        Service::GatewayApi => {
            env.push(("HTTP_ADDR".to_owned(), options.http.to_string()));
            env.push(("JWT_SECRET".to_owned(), secrets.jwt.clone()));
            // The front end under development is served from some port of localhost.
            env.push(("CORS_DEV".to_owned(), "true".to_owned()));
            env.push(("JWT_ISSUER".to_owned(), JWT_ISSUER.to_owned()));
        }
        Service::Meterer => {
            let password = endpoints.nats_passwords.of(METERER_USAGE).to_owned();
            env.push(("USAGE_NATS_USER".to_owned(), METERER_USAGE.to_owned()));
            env.push(("USAGE_NATS_PASSWORD".to_owned(), password));
        }
        Service::SagaOrchestrator => {}
    }
    let listener = match service {
        Service::GatewayApi => Some(listener.try_clone().context("share the gateway's socket")?),
        Service::Syncer | Service::Biller | Service::Meterer | Service::SagaOrchestrator => None,
    };
    Ok(Spec {
        name: service.name(),
        program: binary(service.name())?,
        args: Vec::new(),
        env,
        listener,
        ready_url: format!("http://127.0.0.1:{ops_port}/readyz"),
    })
}

fn log_filter() -> (String, String) {
    ("RUST_LOG".to_owned(), of_the_shell("RUST_LOG").unwrap_or_else(|| "info".to_owned()))
}
