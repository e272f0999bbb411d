//! Who may say and hear what on NATS: derived, never written by hand.
//!
//! Three accounts. The services share one; the LLM gateway and operators live in accounts of their own, with
//! just their subjects exported and imported, because a permission does not check the reply subject of a
//! message and an account does. Usage is stored in the LLM gateway's.

use std::fmt::Write;

use crate::{
    Service,
    catalogue::{self, Entry},
    streams::{self, Account, Stream},
    subject::{self, Kind},
};

/// What one user of the services' account may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user's name: the service's.
    pub name: &'static str,
    /// Subjects it may publish.
    pub publish: Vec<String>,
    /// Subjects it may subscribe to.
    pub subscribe: Vec<String>,
    /// Whether it may answer requests.
    pub answers: bool,
}

/// The inbox prefix of a user; nobody else may subscribe below it.
pub fn inbox_prefix(user: &str) -> String {
    format!("_INBOX_{user}")
}

/// The environment variable that holds a user's password when nats-server starts.
pub fn password_variable(user: &str) -> String {
    format!("{}_NATS_PASSWORD", user.to_uppercase().replace('-', "_"))
}

/// Where a user asks what it may do.
pub const USER_INFO: &str = "$SYS.REQ.USER.INFO";

/// The user of the deploy job: makes streams, consumers and schedules.
pub const ADMIN: &str = "admin";
/// The user who reads event streams.
pub const OPERATOR: &str = "operator";
/// The user of the deploy job in the LLM gateway's account.
pub const LLM_GATEWAY_ADMIN: &str = "llm-gateway-admin";
/// The user by which meterer reads usage, in the LLM gateway's account.
pub const METERER_USAGE: &str = "meterer-usage";
/// The user of arcadia-llm-gateway.
pub const LLM_GATEWAY: &str = "llm-gateway";

/// The account of a user that makes streams.
pub fn account(user: &str) -> Account {
    if user == LLM_GATEWAY_ADMIN { Account::LlmGateway } else { Account::Services }
}

fn owned(entry: &Entry, service: Service, kinds: &[Kind]) -> bool {
    subject::parse(&entry.subject).is_some_and(|p| p.owner == Some(service) && kinds.contains(&p.kind))
}

fn with_key(entry: &Entry) -> String {
    if entry.keyed { format!("{}.*", entry.subject) } else { entry.subject.clone() }
}

/// The user of one service.
pub fn user(service: Service) -> User {
    let entries = catalogue::entries();
    let name = service.name();
    let mut publish = vec![USER_INFO.to_owned()];
    let mut subscribe = vec![format!("{}.>", inbox_prefix(name))];

    for entry in &entries {
        if owned(entry, service, &[Kind::Event, Kind::Job, Kind::Parked]) {
            publish.push(with_key(entry));
        }
        if owned(entry, service, &[Kind::Command, Kind::Query]) {
            subscribe.push(entry.subject.clone());
        }
        let asks = service == Service::GatewayApi;
        if asks && matches!(entry.kind, Kind::Command | Kind::Query) {
            publish.push(entry.subject.clone());
        }
    }
    for consumer in streams::consumers().iter().filter(|c| c.service == service) {
        let (stream, durable) = (consumer.stream.name(), &consumer.name);
        publish.push(format!("$JS.API.CONSUMER.INFO.{stream}.{durable}"));
        publish.push(format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"));
        publish.push(format!("$JS.ACK.{stream}.{durable}.>"));
        publish.push(format!("$JS.ACK.*.*.{stream}.{durable}.>"));
    }
    if service == Service::GatewayApi {
        // Server-sent events read EVENTS through short-lived consumers of the gateway's own, pulled and
        // never acknowledged.
        let events = Stream::Events.name();
        publish.push(format!("$JS.API.STREAM.INFO.{events}"));
        publish.push(format!("$JS.API.CONSUMER.CREATE.{events}.>"));
        publish.push(format!("$JS.API.CONSUMER.INFO.{events}.*"));
        publish.push(format!("$JS.API.CONSUMER.MSG.NEXT.{events}.*"));
        publish.push(format!("$JS.API.CONSUMER.DELETE.{events}.*"));
    }
    let answers = Service::OWNERS.contains(&service);
    if answers {
        for verb in ["PING", "INFO", "STATS"] {
            subscribe.push(format!("$SRV.{verb}"));
            subscribe.push(format!("$SRV.{verb}.{name}"));
            subscribe.push(format!("$SRV.{verb}.{name}.*"));
        }
    }
    publish.sort();
    subscribe.sort();
    User { name, publish, subscribe, answers }
}

/// The user by which a service follows the stream of another account, in that account; named like what it follows.
///
/// A user of its own instead of exports: what is imported keeps neither its subject nor its order of magnitude. It
/// can only read. The reply subject of a request for messages is not checked, but what it could have the
/// server publish again is usage, and whoever holds this user decides what usage counts anyway.
pub fn follower(service: Service) -> User {
    let mut publish = vec![USER_INFO.to_owned()];
    let mut name = "";
    for (_, stream) in streams::FOLLOWED.into_iter().filter(|(follower, _)| *follower == service) {
        name = METERER_USAGE;
        let stream = stream.name();
        publish.push(format!("$JS.API.STREAM.INFO.{stream}"));
        publish.push(format!("$JS.API.STREAM.MSG.GET.{stream}"));
        publish.push(format!("$JS.API.CONSUMER.CREATE.{stream}.*"));
        publish.push(format!("$JS.API.CONSUMER.INFO.{stream}.*"));
        publish.push(format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.*"));
        publish.push(format!("$JS.API.CONSUMER.DELETE.{stream}.*"));
    }
    publish.sort();
    User { name, publish, subscribe: vec![format!("{}.>", inbox_prefix(name))], answers: false }
}

fn list(out: &mut String, key: &str, subjects: &[String]) {
    let _infallible = writeln!(out, "        {key}: [");
    for subject in subjects {
        let _infallible = writeln!(out, "          {subject:?}");
    }
    out.push_str("        ]\n");
}

/// `nats/users.conf`: the accounts, their users and what they may do. Passwords come from the environment of
/// nats-server, by [`password_variable`].
pub fn render() -> String {
    let mut out = String::from(
        "# Generated from shared/contracts; UPDATE_EXPECT=1 cargo test -p arcadia-tests --test repo rewrites it.\n\
         accounts {\n  ARCADIA {\n    jetstream: enabled\n    users: [\n",
    );
    let admin = password_variable(ADMIN);
    let _infallible = writeln!(out, "      {{ user: {ADMIN}, password: ${admin} }}");
    for service in Service::ALL {
        let user = user(service);
        let password = password_variable(user.name);
        let _infallible =
            writeln!(out, "      {{ user: {}, password: ${password}, permissions: {{", user.name);
        list(&mut out, "publish", &user.publish);
        list(&mut out, "subscribe", &user.subscribe);
        if user.answers {
            out.push_str("        allow_responses: { max: 1, expires: \"30s\" }\n");
        }
        out.push_str("      } }\n");
    }
    out.push_str("    ]\n    exports: [\n");
    for subjects in Stream::Events.subjects() {
        let _infallible = writeln!(out, "      {{ stream: {subjects:?}, accounts: [OPERATORS] }}");
    }
    let usage = Stream::Usage.subjects()[0];
    let parked = Stream::Parked.subjects()[0];
    let _infallible = writeln!(out, "      {{ stream: {parked:?}, accounts: [OPERATORS] }}");
    out.push_str("      { service: \"$SRV.>\", response_type: stream, accounts: [OPERATORS] }\n");
    out.push_str("    ]\n  }\n");

    out.push_str("  OPERATORS {\n    users: [\n");
    let _infallible = writeln!(
        out,
        "      {{ user: {OPERATOR}, password: ${}, permissions: {{ publish: [\"$SRV.>\"], subscribe: [\"evt.>\", \"parked.>\", \"{}.>\"] }} }}",
        password_variable(OPERATOR),
        inbox_prefix(OPERATOR),
    );
    out.push_str("    ]\n    imports: [\n");
    for subjects in Stream::Events.subjects() {
        let _infallible = writeln!(out, "      {{ stream: {{ account: ARCADIA, subject: {subjects:?} }} }}");
    }
    let _infallible = writeln!(out, "      {{ stream: {{ account: ARCADIA, subject: {parked:?} }} }}");
    out.push_str("      { service: { account: ARCADIA, subject: \"$SRV.>\" } }\n    ]\n  }\n");

    out.push_str("  LLM_GATEWAY {\n    jetstream: enabled\n    users: [\n");
    let password = password_variable(LLM_GATEWAY_ADMIN);
    let _infallible = writeln!(out, "      {{ user: {LLM_GATEWAY_ADMIN}, password: ${password} }}");
    let _infallible = writeln!(
        out,
        "      {{ user: {LLM_GATEWAY}, password: ${}, permissions: {{ publish: [{usage:?}], subscribe: [\"{}.>\"] }} }}",
        password_variable(LLM_GATEWAY),
        inbox_prefix(LLM_GATEWAY),
    );
    for (service, _) in streams::FOLLOWED {
        let user = follower(service);
        let password = password_variable(user.name);
        let _infallible =
            writeln!(out, "      {{ user: {}, password: ${password}, permissions: {{", user.name);
        list(&mut out, "publish", &user.publish);
        list(&mut out, "subscribe", &user.subscribe);
        out.push_str("      } }\n");
    }
    out.push_str("    ]\n  }\n");
    out.push_str("  SYS { }\n}\nsystem_account: SYS\n");
    out
}
