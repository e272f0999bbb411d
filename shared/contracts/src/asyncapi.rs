//! The AsyncAPI 3.0 document: the catalogue for people and tools outside this repository.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::{
    catalogue,
    subject::{self, Kind},
};

/// Renders the document as pretty JSON with a newline at the end.
pub fn render() -> String {
    let mut generator = SchemaSettings::draft07()
        .with(|s| s.definitions_path = "/components/schemas".into())
        .into_generator();
    let (mut channels, mut operations, mut messages) = (Map::new(), Map::new(), Map::new());

    for entry in catalogue::entries() {
        let id = entry.subject.replace(['.', '-'], "_");
        let owner = subject::parse(&entry.subject).and_then(|p| p.owner).map_or("llm-gateway", |o| o.name());
        let payload = (entry.schema)(&mut generator);
        let address = if entry.keyed { format!("{}.{{id}}", entry.subject) } else { entry.subject.clone() };
        let reference = |path: String| json!({ "$ref": path });

        let mut channel = json!({
            "address": address,
            "messages": { "message": reference(format!("#/components/messages/{id}")) },
        });
        if entry.keyed {
            channel["parameters"] = json!({ "id": { "description": "The entity's id." } });
        }
        messages.insert(
            id.clone(),
            json!({ "name": entry.type_name, "contentType": "application/json", "payload": payload }),
        );
        let mut operation = json!({
            // `send` and `receive` are the owner's: it publishes events and answers requests.
            "action": match entry.kind {
                Kind::Event | Kind::Parked | Kind::State => "send",
                Kind::Command | Kind::Query | Kind::Job => "receive",
            },
            "channel": reference(format!("#/channels/{id}")),
            "tags": [{ "name": owner }],
        });
        if let Some(reply) = entry.reply {
            let reply_id = format!("{id}_reply");
            let schema = reply(&mut generator);
            messages.insert(
                reply_id.clone(),
                json!({ "name": format!("{}Reply", entry.type_name), "contentType": "application/json", "payload": schema }),
            );
            channels.insert(
                reply_id.clone(),
                json!({
                    "address": null,
                    "messages": { "message": reference(format!("#/components/messages/{reply_id}")) },
                }),
            );
            operation["reply"] = json!({ "channel": reference(format!("#/channels/{reply_id}")) });
        }
        channels.insert(id.clone(), channel);
        operations.insert(id, operation);
    }

    let schemas: Map<String, Value> = generator.take_definitions(true);
    let document = json!({
        "asyncapi": "3.0.0",
        "info": { "title": "Arcadia Cloud", "version": "1.0.0" },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas },
    });
    let mut text = serde_json::to_string_pretty(&document).expect("a JSON value serialises");
    text.push('\n');
    text
}
