//! The order of a start, and its reverse.

use super::external::External;
use super::keeper::Keeper;
use super::specs::{self, Endpoints, JWT_ISSUER, Provider};
use super::supervised::{Spec, Supervised, Surroundings};
use super::{SystemOptions, provision};
use crate::console::Console;
use crate::environment::{EnvironmentFile, variable_prefix};
use crate::gateway::Gateway;
use crate::migrate::{self, Layout};
use crate::nats::{self, NatsServer};
use crate::postgres::{self, Postgres};
use crate::state::{Secrets, StateDir};
use crate::token::{self, OPERATOR_ROLE, TokenRequest};
use anyhow::Context;
use chrono::Utc;
use contracts::Service;
use contracts::permissions::{LLM_GATEWAY, OPERATOR};
use std::net::TcpListener;
use std::time::Duration;

/// A service that is not ready by then never will be.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How long the token in the `env` file is good for; every start writes a new one.
const TOKEN_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

/// Everything that runs, in the order in which it was started.
#[derive(Debug)]
pub struct System {
    surroundings: Surroundings,
    services: Vec<(Service, Supervised)>,
    simulators: Vec<Supervised>,
    nats: Option<Keeper>,
    postgres: Option<Keeper>,
}

impl System {
    /// Nothing runs yet.
    pub fn new(state: StateDir, console: Console) -> anyhow::Result<System> {
        std::fs::create_dir_all(state.logs()).context("make the folder of logs")?;
        let environment = EnvironmentFile::create(&state)?;
        Ok(System {
            surroundings: Surroundings { state, console, environment },
            services: Vec::new(),
            simulators: Vec::new(),
            nats: None,
            postgres: None,
        })
    }

    /// Starts everything. What runs when this fails or is dropped is ended by [`System::stop`].
    pub async fn bring_up(
        &mut self,
        options: &SystemOptions,
        listener: TcpListener,
    ) -> anyhow::Result<Gateway> {
        let secrets = self.surroundings.state.secrets()?;
        let (endpoints, simulators) = self.servers(options, &secrets).await?;
        let client = reqwest::Client::new();
        self.step("postgres", "migrating");
        self.step("nats-server", "making streams, consumers and schedules");
        let (migrated, provisioned) = tokio::join!(
            migrate::migrate(&endpoints.database_url, &endpoints.layout, &secrets.database),
            provision::apply(&endpoints),
        );
        migrated?;
        provisioned?;
        for simulator in &simulators {
            simulator.ready(&client, READY_WITHIN).await?;
        }
        self.simulators.extend(simulators);

        let gateway = self.describe(options, &endpoints, &secrets)?;
        for service in Service::ALL {
            let spec = specs::service(service, options, &endpoints, &secrets, &listener)?;
            let ops_url = spec.ready_url.trim_end_matches("/readyz").to_owned();
            self.surroundings
                .environment
                .set([(format!("{}_OPS_URL", variable_prefix(service.name())), ops_url)])?;
            self.services.push((service, self.child(spec)?));
        }
        for (service, child) in &self.services {
            child.ready(&client, READY_WITHIN).await?;
            self.step(service.name(), "ready");
        }
        Ok(gateway)
    }

    /// Both servers and the simulators at the same time: none needs another.
    async fn servers(
        &mut self,
        options: &SystemOptions,
        secrets: &Secrets,
    ) -> anyhow::Result<(Endpoints, Vec<Supervised>)> {
        let state = self.surroundings.state.clone();
        let mut simulators = Vec::new();
        let provider = match &options.provider {
            Some(url) => Provider::real(url)?,
            None => {
                let simulator = specs::digitalocean_sim(&state, secrets)?;
                simulators.push(self.child(simulator.spec)?);
                self.step("digitalocean-sim", format!("starting on {}", simulator.url));
                Provider {
                    url: simulator.url,
                    control_url: Some(simulator.control_url),
                    tokens: vec![("DO_API_TOKEN".to_owned(), secrets.digitalocean_token.clone())],
                }
            }
        };
        let finance = specs::finance_sim(secrets)?;
        simulators.push(self.child(finance.spec)?);
        self.step("finance-sim", format!("starting on {}", finance.url));
        let external = if options.external { Some(External::from_env()?) } else { None };
        let (nats_url, nats_passwords, database_url) = match external {
            Some(external) => (external.nats_url, external.nats_passwords, external.database_url),
            None => self.own_servers(secrets).await?,
        };
        let endpoints = Endpoints {
            nats_url,
            nats_passwords,
            database_url,
            layout: Layout::default(),
            provider,
            finance_url: finance.url,
        };
        Ok((endpoints, simulators))
    }

    async fn own_servers(&mut self, secrets: &Secrets) -> anyhow::Result<(String, nats::Passwords, String)> {
        let Surroundings { state, console, environment } = self.surroundings.clone();
        console.step("postgres", "starting");
        console.step("nats-server", "starting");
        let (postgres_dir, nats_dir) = (state.folder("postgres"), state.folder("nats"));
        let nats_options = nats::Options { passwords: secrets.nats.clone(), extra: String::new() };
        let (postgres, nats) = tokio::join!(
            Postgres::start(&postgres_dir, postgres::Options::default()),
            NatsServer::start(&nats_dir, nats_options),
        );
        // Both are looked at before either error leaves, so that the one that runs is dropped, which ends it.
        let (postgres, nats) = (postgres?, nats?);
        console.step("postgres", format!("ready on 127.0.0.1:{}", postgres.port()));
        console.step("nats-server", format!("ready on 127.0.0.1:{}", nats.port()));
        environment.set([
            ("NATS_MONITOR_URL".to_owned(), nats.monitor_url()),
            ("POSTGRES_ADMIN_URL".to_owned(), postgres.superuser_url("arcadia")),
        ])?;
        let described = (nats.url(), nats.passwords().clone(), postgres.superuser_url("postgres"));
        self.postgres = Some(Keeper::postgres(postgres, console.clone(), environment.clone()));
        self.nats = Some(Keeper::nats(nats, console, environment));
        Ok(described)
    }

    /// Writes what others need to know into the `env` file.
    fn describe(
        &self,
        options: &SystemOptions,
        endpoints: &Endpoints,
        secrets: &Secrets,
    ) -> anyhow::Result<Gateway> {
        let request = TokenRequest {
            tenant: "platform".parse().context("our own tenant id")?,
            roles: vec![OPERATOR_ROLE.to_owned()],
            ttl: TOKEN_TTL,
            issuer: JWT_ISSUER.to_owned(),
            audience: JWT_ISSUER.to_owned(),
        };
        let operator_token = token::mint(&request, &secrets.jwt, Utc::now())?;
        let gateway = Gateway::new(format!("http://{}", options.http), operator_token);
        let mut variables = vec![
            ("GATEWAY_URL".to_owned(), gateway.url.clone()),
            ("OPERATOR_TOKEN".to_owned(), gateway.operator_token.clone()),
            ("JWT_SECRET".to_owned(), secrets.jwt.clone()),
            ("JWT_ISSUER".to_owned(), JWT_ISSUER.to_owned()),
            ("NATS_URL".to_owned(), endpoints.nats_url.clone()),
            ("DIGITALOCEAN_URL".to_owned(), endpoints.provider.url.clone()),
            ("SKYAI_FINANCE_URL".to_owned(), endpoints.finance_url.clone()),
            ("SUPERVISOR_PID".to_owned(), std::process::id().to_string()),
        ];
        for user in [OPERATOR, LLM_GATEWAY] {
            let prefix = variable_prefix(user);
            variables.push((format!("{prefix}_NATS_USER"), user.to_owned()));
            variables.push((format!("{prefix}_NATS_PASSWORD"), endpoints.nats_passwords.of(user).to_owned()));
        }
        if let Some(url) = &endpoints.provider.control_url {
            variables.push(("DIGITALOCEAN_SIM_CONTROL_URL".to_owned(), url.clone()));
        }
        for service in Service::OWNERS {
            let name = format!("{}_DATABASE_URL", variable_prefix(service.name()));
            variables.push((name, endpoints.database_url(service, secrets)?));
        }
        self.surroundings.environment.set(variables)?;
        Ok(gateway)
    }

    fn child(&self, spec: Spec) -> anyhow::Result<Supervised> {
        Supervised::start(spec, self.surroundings.clone())
    }

    fn step(&self, name: &str, what: impl std::fmt::Display) {
        self.surroundings.console.step(name, what);
    }

    /// Stops everything in the reverse order: the gateway takes no more requests before those who answer them go, and
    /// the servers go last.
    pub async fn stop(&mut self) {
        let (gateway, others): (Vec<_>, Vec<_>) =
            self.services.drain(..).partition(|(service, _)| *service == Service::GatewayApi);
        for group in [gateway, others] {
            together(group.into_iter().map(|(_, child)| child)).await;
        }
        together(self.simulators.drain(..)).await;
        if let Some(nats) = self.nats.take() {
            nats.stop().await;
        }
        if let Some(postgres) = self.postgres.take() {
            postgres.stop().await;
        }
    }
}

async fn together(children: impl IntoIterator<Item = Supervised>) {
    let stops: Vec<_> = children.into_iter().map(|child| tokio::spawn(child.stop())).collect();
    for stop in stops {
        // A stop that panicked leaves a child that dies with us.
        stop.await.ok();
    }
}
