//! A row of the table of operations: what the router serves and the document describes, said once.

use axum::routing::{MethodFilter, MethodRouter};
use contracts::{
    Service, TenantId,
    ids::{BillingKind, Code, DeploymentId, ParkedId, PlanVersionId, ProjectId, ResourceId},
    syncer::Listing,
};
use http::{Method, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::json;

use crate::{
    auth::Caller,
    gateway::Gateway,
    input::{BODY_BYTES_MAX, Date},
};

/// The header that names an effect.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Makes a schema, and collects the definitions it refers to.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Who may call an operation. There is no default: a row without a role does not compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Anyone, without a token.
    Public,
    /// Any valid token; the answer holds what is the caller's.
    Tenant,
    /// Tokens of operators.
    Operator,
    /// Tokens of whoever meters use outside: the role `llm-gateway`, or operators.
    UsageProducer,
}

impl Role {
    /// Whether a caller bears it.
    pub(crate) fn admits(self, caller: &Caller) -> bool {
        match self {
            Self::Public | Self::Tenant => true,
            Self::Operator => caller.is_operator(),
            Self::UsageProducer => caller.is_usage_producer(),
        }
    }

    /// Who bears it, for those who do not.
    pub(crate) const fn bearers(self) -> &'static str {
        match self {
            Self::Public => "everyone",
            Self::Tenant => "whoever has a valid token",
            Self::Operator => "operators: tokens with the role platform-admin",
            Self::UsageProducer => "tokens with the role llm-gateway or platform-admin",
        }
    }

    /// Its name in the document.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Tenant => "tenant",
            Self::Operator => "operator",
            Self::UsageProducer => "usage-producer",
        }
    }
}

/// What a parameter of a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// A resource's id.
    Resource,
    /// A project's id.
    Project,
    /// A listing's name.
    Listing,
    /// The name of a service that keeps parked messages.
    Owner,
    /// A parked message's id.
    Parked,
    /// A deployment's id.
    Deployment,
    /// A plan's code.
    Plan,
    /// A plan version's id.
    PlanVersion,
    /// What usage is counted by.
    BillingKind,
    /// A day.
    Day,
}

impl PathKind {
    pub(crate) fn schema(self, generator: &mut SchemaGenerator) -> Schema {
        match self {
            Self::Resource => generator.subschema_for::<ResourceId>(),
            Self::Project => generator.subschema_for::<ProjectId>(),
            Self::Parked => generator.subschema_for::<ParkedId>(),
            Self::Listing => generator.subschema_for::<Listing>(),
            Self::Owner => owner_schema(generator),
            Self::Deployment => generator.subschema_for::<DeploymentId>(),
            Self::Plan => generator.subschema_for::<Code>(),
            Self::PlanVersion => generator.subschema_for::<PlanVersionId>(),
            Self::BillingKind => generator.subschema_for::<BillingKind>(),
            Self::Day => generator.subschema_for::<Date>(),
        }
    }

    pub(crate) const fn description(self) -> &'static str {
        match self {
            Self::Resource => "The resource's id.",
            Self::Project => "The project's id.",
            Self::Listing => "The listing's name.",
            Self::Owner => "The service that parked the message.",
            Self::Parked => "The parked message's id.",
            Self::Deployment => "The deployment's id.",
            Self::Plan => "The plan's code.",
            Self::PlanVersion => "The plan version's id.",
            Self::BillingKind => "What usage is counted by, such as droplet_hours.",
            Self::Day => "The day, such as 2026-11-24.",
        }
    }
}

pub(crate) fn time_schema(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "type": "string", "format": "date-time" })
}

pub(crate) fn owner_schema(_: &mut SchemaGenerator) -> Schema {
    let owners = Service::OWNERS.map(Service::name);
    schemars::json_schema!({ "type": "string", "enum": owners })
}

/// A named value besides the path and the body.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// What it may be.
    pub schema: SchemaOf,
}

/// The JSON body of a write.
#[derive(Debug, Clone, Copy)]
pub struct RequestBody {
    /// Its type.
    pub schema: SchemaOf,
    /// One that is taken, as JSON.
    pub sample: &'static str,
    /// Its largest size.
    pub bytes_max: usize,
}

/// What a successful answer carries.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// JSON of a type.
    Json(SchemaOf),
    /// Server-sent events.
    EventStream,
    /// A page.
    Html,
}

/// One operation.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The method.
    pub method: Method,
    /// The path, with `{name}` for its parameters.
    pub path: &'static str,
    /// Its name in the document, in metrics and in traces.
    pub id: &'static str,
    /// Who may call it.
    pub role: Role,
    /// One line.
    pub summary: &'static str,
    /// What the parameters of the path name, in the path's order.
    pub path_parameters: Vec<(&'static str, PathKind)>,
    /// Query parameters; any other name is refused.
    pub query: Vec<Parameter>,
    /// Headers that change what it does.
    pub headers: Vec<Parameter>,
    /// The body; `None` when none is read.
    pub body: Option<RequestBody>,
    /// What a success carries.
    pub content: Content,
    /// The status of a success: 200, or 201 where something new was made.
    pub success: StatusCode,
    /// Where what was made is found from then on, with `{name}` for what its answer says; `None` when it is not
    /// asked for by itself.
    pub location: Option<&'static str>,
    /// Statuses it may answer with besides those that follow from the rest of the row.
    pub further_statuses: Vec<u16>,
    pub(crate) handler: fn(MethodFilter) -> MethodRouter<Gateway>,
}

impl Operation {
    fn new(
        method: Method,
        path: &'static str,
        id: &'static str,
        role: Role,
        handler: fn(MethodFilter) -> MethodRouter<Gateway>,
    ) -> Self {
        Self {
            method,
            path,
            id,
            role,
            summary: "",
            path_parameters: Vec::new(),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            content: Content::Json(anything),
            success: StatusCode::OK,
            location: None,
            further_statuses: Vec::new(),
            handler,
        }
    }

    pub(crate) fn get(
        path: &'static str,
        id: &'static str,
        role: Role,
        handler: fn(MethodFilter) -> MethodRouter<Gateway>,
    ) -> Self {
        Self::new(Method::GET, path, id, role, handler)
    }

    /// A question with a body: changes nothing.
    pub(crate) fn ask(
        path: &'static str,
        id: &'static str,
        role: Role,
        handler: fn(MethodFilter) -> MethodRouter<Gateway>,
    ) -> Self {
        Self::new(Method::POST, path, id, role, handler)
    }

    /// A write: takes `Idempotency-Key`.
    pub(crate) fn post(
        path: &'static str,
        id: &'static str,
        role: Role,
        handler: fn(MethodFilter) -> MethodRouter<Gateway>,
    ) -> Self {
        Self::ask(path, id, role, handler).header(
            IDEMPOTENCY_KEY,
            "Names this effect, 1 to 255 visible ASCII characters. The same key again does nothing and gets \
             the first answer, marked Idempotent-Replayed. The key is yours and this path's alone.",
            |_| schemars::json_schema!({ "type": "string", "minLength": 1, "maxLength": 255 }),
        )
    }

    pub(crate) fn summary(self, summary: &'static str) -> Self {
        Self { summary, ..self }
    }

    pub(crate) fn path(mut self, name: &'static str, kind: PathKind) -> Self {
        self.path_parameters.push((name, kind));
        self
    }

    pub(crate) fn query(mut self, name: &'static str, description: &'static str, schema: SchemaOf) -> Self {
        self.query.push(Parameter { name, description, schema });
        self
    }

    pub(crate) fn header(mut self, name: &'static str, description: &'static str, schema: SchemaOf) -> Self {
        self.headers.push(Parameter { name, description, schema });
        self
    }

    /// `limit` and `cursor`.
    pub(crate) fn paged(self) -> Self {
        self.query(
            "limit",
            "Items on a page.",
            |_| schemars::json_schema!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 }),
        )
        .query(
            "cursor",
            "next_cursor of the page before; the first page without it.",
            |_| schemars::json_schema!({ "type": "string", "minLength": 1, "maxLength": 512 }),
        )
    }

    /// `from` and `to`.
    pub(crate) fn in_period(self) -> Self {
        self.query("from", "First day; the first of this month (UTC) when left out.", schema_of::<Date>).query(
            "to",
            "First day that does not count, later than from and at most 400 days after it; the first of next month \
             (UTC) when left out.",
            schema_of::<Date>,
        )
    }

    pub(crate) fn body<T: JsonSchema>(self, sample: &'static str) -> Self {
        self.body_of(schema_of::<T>, sample, BODY_BYTES_MAX)
    }

    /// A body that is no type of its own, or larger than others.
    pub(crate) fn body_of(self, schema: SchemaOf, sample: &'static str, bytes_max: usize) -> Self {
        Self { body: Some(RequestBody { schema, sample, bytes_max }), ..self }
    }

    /// A success is that something new was made.
    pub(crate) fn creates(self) -> Self {
        Self { success: StatusCode::CREATED, ..self }
    }

    /// A success is that something new was made, and `Location` says where it is.
    pub(crate) fn creates_at(self, location: &'static str) -> Self {
        Self { location: Some(location), ..self.creates() }
    }

    pub(crate) fn answers<T: JsonSchema>(self) -> Self {
        Self { content: Content::Json(schema_of::<T>), ..self }
    }

    pub(crate) fn content(self, content: Content) -> Self {
        Self { content, ..self }
    }

    pub(crate) fn may_answer(mut self, status: u16) -> Self {
        self.further_statuses.push(status);
        self
    }

    /// Whether a query parameter is known.
    pub fn knows(&self, name: &str) -> bool {
        self.query.iter().any(|parameter| parameter.name == name)
    }

    /// Whether it changes anything.
    fn has_effect(&self) -> bool {
        self.headers.iter().any(|header| header.name == IDEMPOTENCY_KEY)
    }

    /// Largest body that is read, in bytes.
    pub(crate) fn body_bytes_max(&self) -> usize {
        self.body.map_or(BODY_BYTES_MAX, |body| body.bytes_max)
    }

    /// Every status of an error that it may answer with, ascending.
    pub fn error_statuses(&self) -> Vec<u16> {
        let mut statuses = vec![400, 405, 431, 500, 503];
        match self.role {
            Role::Public => {}
            Role::Tenant => statuses.push(401),
            Role::Operator | Role::UsageProducer => statuses.extend([401, 403]),
        }
        if self.role != Role::Public {
            // An unknown query parameter, at least.
            statuses.push(422);
        }
        if !self.path_parameters.is_empty() {
            statuses.push(404);
        }
        if self.body.is_some() {
            statuses.extend([408, 413, 415]);
        }
        if self.has_effect() {
            statuses.push(409);
        }
        statuses.extend(&self.further_statuses);
        statuses.sort_unstable();
        statuses.dedup();
        statuses
    }
}

pub(crate) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn anything(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "type": "object" })
}

pub(crate) fn tenant_schema(generator: &mut SchemaGenerator) -> Schema {
    schema_of::<TenantId>(generator)
}

pub(crate) fn text_schema(_: &mut SchemaGenerator) -> Schema {
    serde_json::from_value(json!({ "type": "string", "minLength": 1, "maxLength": 64 }))
        .expect("an object is a schema")
}
