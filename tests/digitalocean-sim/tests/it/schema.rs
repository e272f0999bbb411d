//! The published schema, made usable: OpenAPI 3.0 as JSON Schema.

use std::collections::BTreeMap;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// One documented operation.
#[derive(Debug, Clone)]
pub struct Documented {
    pub method: String,
    pub path: String,
}

pub struct Published {
    document: Value,
    pub operations: BTreeMap<String, Documented>,
}

impl Published {
    pub fn load() -> Self {
        let mut document: Value =
            serde_json::from_str(include_str!("../../openapi.json")).expect("the schema is JSON");
        allow_null(&mut document);
        let mut operations = BTreeMap::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("a path item") {
                if let Some(id) = operation["operationId"].as_str() {
                    let documented = Documented { method: method.to_uppercase(), path: path.clone() };
                    operations.insert(id.to_owned(), documented);
                }
            }
        }
        Self { document, operations }
    }

    /// The JSON schema of an answer; `None` when the answer has no JSON body. Panics on an undocumented status.
    pub fn schema(&self, operation: &str, status: u16) -> Option<Validator> {
        let Documented { method, path } = &self.operations[operation];
        let responses = &self.document["paths"][path][method.to_lowercase()]["responses"];
        let status = status.to_string();
        let key = if responses.get(&status).is_some() { &status } else { "default" };
        let mut response =
            responses.get(key).unwrap_or_else(|| panic!("{operation}: {status} is not documented"));
        let mut pointer = format!("/paths/{}/{}/responses/{key}", escape(path), method.to_lowercase());
        while let Some(target) = response["$ref"].as_str() {
            pointer = target.trim_start_matches('#').to_owned();
            response = self.document.pointer(&pointer).expect("references resolve");
        }
        response["content"].get("application/json")?;
        let mut root: Map<String, Value> = Map::new();
        root.insert("components".into(), self.document["components"].clone());
        root.insert("paths".into(), self.document["paths"].clone());
        root.insert("$ref".into(), json!(format!("#{pointer}/content/application~1json/schema")));
        let options =
            jsonschema::options().with_draft(jsonschema::Draft::Draft202012).should_validate_formats(true);
        Some(options.build(&Value::Object(root)).unwrap_or_else(|error| panic!("{operation}: {error}")))
    }
}

fn escape(path: &str) -> String {
    path.replace('~', "~0").replace('/', "~1").replace('{', "%7B").replace('}', "%7D")
}

/// `nullable: true` is OpenAPI's; JSON Schema lists null among the types and the values.
fn allow_null(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("nullable") == Some(&Value::Bool(true)) {
                if let Some(Value::String(kind)) = fields.get("type").cloned() {
                    fields.insert("type".into(), json!([kind, "null"]));
                }
                if let Some(Value::Array(values)) = fields.get_mut("enum") {
                    values.push(Value::Null);
                }
            }
            fields.remove("example");
            fields.remove("examples");
            fields.values_mut().for_each(allow_null);
        }
        Value::Array(items) => items.iter_mut().for_each(allow_null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
