//! The OpenAPI 3.1 document, made from the table of operations and the types it names.

use contracts::Problem;
use http::StatusCode;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::{
    operation::{Content, Operation, Parameter, Role, schema_of},
    operations::operations,
};

const DESCRIPTION: &str = "\
The control plane of a company that resells cloud deployments.

Send `Authorization: Bearer <token>`; operators are those whose token has the role `platform-admin`, and everyone \
else sees what belongs to their own tenant. Usage is taken from the role `llm-gateway` and from operators. Every \
error is `application/problem+json` and says what to do; its `instance` is the request's id, which every answer \
carries as `X-Request-Id`. What does not exist and what is not yours answer alike, with 404. Times are UTC (RFC 3339). \
Money is whole cents or a decimal string, a quantity a decimal string or a whole number; neither is ever a JSON number \
with a fraction. Lists are paged: pass `next_cursor` on as `cursor` until there is none.";

const EVENTS: &str = "\
One event a block: id is its place in the stream, event its type, data one line of JSON with id, type, subject, time \
and data. The stream begins with a block that has an id and no data, and sends another after 15 seconds of silence: \
a reader that has had no event yet resumes from there. Send the last id as Last-Event-ID to go on after it. When not \
all of what came after it is kept any more, or the stored events were lost and rebuilt, the first block is an event \
`gap` with data {\"from\": the id you sent, \"to\": the first id that is kept}: what lay between is gone, so read the \
inventory anew. The stream goes on with `to`.";

/// The document.
pub fn document() -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let item = paths.entry(operation.path).or_insert_with(|| json!({}));
        item[operation.method.as_str().to_ascii_lowercase()] = describe(operation, &mut generator);
    }
    let problem = schema_of::<Problem>(&mut generator);
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.1",
        "info": { "title": "Arcadia Cloud", "version": "1.0.0", "description": DESCRIPTION },
        "servers": [{ "url": "/" }],
        "tags": tags(),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An access token of arcadia-app, signed with HS512.",
                },
            },
            "responses": {
                "Problem": {
                    "description": "An error; `detail` and `errors` say what to do.",
                    "headers": { "X-Request-Id": { "schema": { "type": "string" } } },
                    "content": { Problem::MEDIA_TYPE: { "schema": problem } },
                },
            },
            "schemas": schemas,
        },
    })
}

/// The document as it is committed: pretty, with a newline at the end.
pub fn render() -> String {
    let mut text = serde_json::to_string_pretty(&document()).expect("a JSON value serialises");
    text.push('\n');
    text
}

/// The part of the path that says what an operation is about.
fn tag(operation: &Operation) -> &'static str {
    let path = operation.path.trim_start_matches("/api/").trim_start_matches("v1/");
    match path.split('/').next() {
        Some("inventory") => "inventory",
        Some("projects") => "projects",
        Some("events") => "events",
        Some("parked") => "parked messages",
        Some("catalog") => "catalog",
        Some("quote") => "quotes",
        Some("deployments") => "deployments",
        Some("usage" | "integrations") => "usage",
        Some(_) | None => "about",
    }
}

fn tags() -> Value {
    let mut tags: Vec<&str> = Vec::new();
    for operation in operations() {
        if !tags.contains(&tag(operation)) {
            tags.push(tag(operation));
        }
    }
    tags.into_iter().map(|name| json!({ "name": name })).collect()
}

fn describe(operation: &Operation, generator: &mut schemars::SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    for (name, kind) in &operation.path_parameters {
        let schema = kind.schema(generator);
        parameters.push(json!({
            "name": name, "in": "path", "required": true, "description": kind.description(), "schema": schema,
        }));
    }
    for (place, list) in [("query", &operation.query), ("header", &operation.headers)] {
        for Parameter { name, description, schema } in list {
            let schema = schema(generator);
            parameters
                .push(json!({ "name": name, "in": place, "description": description, "schema": schema }));
        }
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [tag(operation)],
        "responses": responses(operation, generator),
    });
    if !parameters.is_empty() {
        described["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = &operation.body {
        let schema = (body.schema)(generator);
        let example: Value = serde_json::from_str(body.sample).expect("the table's samples are JSON");
        described["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": schema, "example": example } },
        });
    }
    described["security"] = match operation.role {
        Role::Public => json!([]),
        Role::Tenant | Role::Operator | Role::UsageProducer => json!([{ "token": [] }]),
    };
    described["x-role"] = json!(operation.role.name());
    described
}

fn responses(operation: &Operation, generator: &mut schemars::SchemaGenerator) -> Value {
    let (media_type, schema) = match operation.content {
        Content::Json(schema) => ("application/json", json!(schema(generator))),
        Content::EventStream => (
            "text/event-stream",
            json!({ "type": "string", "description":
            EVENTS }),
        ),
        Content::Html => ("text/html", json!({ "type": "string" })),
    };
    let mut responses = Map::new();
    let mut success = json!({ "description": "Done.", "content": { media_type: { "schema": schema } } });
    if operation.success == StatusCode::CREATED {
        success["description"] = json!("Made.");
    }
    if let Some(location) = operation.location {
        let description = format!("Where it is: {location}.");
        success["headers"] =
            json!({ "Location": { "description": description, "schema": { "type": "string" } } });
    }
    responses.insert(operation.success.as_str().to_owned(), success);
    for status in operation.error_statuses() {
        responses.insert(status.to_string(), json!({ "$ref": "#/components/responses/Problem" }));
    }
    Value::Object(responses)
}
