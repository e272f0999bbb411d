//! A row of the table of operations: what the router serves and the document describes, said once.

use axum::routing::{MethodFilter, MethodRouter};
use contracts::{
    Service, TenantId,
    ids::{ParkedId, ProjectId, ResourceId},
    syncer::Listing,
};
use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::json;

use crate::gateway::Gateway;

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
}

impl PathKind {
    pub(crate) fn schema(self, generator: &mut SchemaGenerator) -> Schema {
        match self {
            Self::Resource => generator.subschema_for::<ResourceId>(),
            Self::Project => generator.subschema_for::<ProjectId>(),
            Self::Parked => generator.subschema_for::<ParkedId>(),
            Self::Listing => generator.subschema_for::<Listing>(),
            Self::Owner => owner_schema(generator),
        }
    }

    pub(crate) const fn description(self) -> &'static str {
        match self {
            Self::Resource => "The resource's id.",
            Self::Project => "The project's id.",
            Self::Listing => "The listing's name.",
            Self::Owner => "The service that parked the message.",
            Self::Parked => "The parked message's id.",
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
    /// What a 200 carries.
    pub content: Content,
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

    /// A write: takes `Idempotency-Key`.
    pub(crate) fn post(
        path: &'static str,
        id: &'static str,
        role: Role,
        handler: fn(MethodFilter) -> MethodRouter<Gateway>,
    ) -> Self {
        Self::new(Method::POST, path, id, role, handler).header(
            "Idempotency-Key",
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

    pub(crate) fn body<T: JsonSchema>(self, sample: &'static str) -> Self {
        Self { body: Some(RequestBody { schema: schema_of::<T>, sample }), ..self }
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

    /// Every status of an error that it may answer with, ascending.
    pub fn error_statuses(&self) -> Vec<u16> {
        let mut statuses = vec![400, 405, 431, 500, 503];
        match self.role {
            Role::Public => {}
            Role::Tenant => statuses.push(401),
            Role::Operator => statuses.extend([401, 403]),
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
        if self.method != Method::GET {
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
