//! Documents that are derived from the code are committed and current. `UPDATE_EXPECT=1` rewrites them.

use contracts::llm_gateway::{UsageCorrected, UsageRecorded, UsageVoided};
use schemars::JsonSchema;

/// Compares line by line: a difference of documents as large as these takes minutes to work out in full.
fn check(file: &str, current: &str) {
    let path = crate::sources::root().join(file);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        return std::fs::write(path, current).expect("the repository can be written");
    }
    let committed = std::fs::read_to_string(path).expect("it is committed");
    if committed == current {
        return;
    }
    let differs = committed.lines().zip(current.lines()).position(|(one, other)| one != other);
    let line = differs.unwrap_or(committed.lines().count().min(current.lines().count()));
    panic!(
        "{file} is not current from line {} on: {:?}, should be {:?}",
        line + 1,
        committed.lines().nth(line).unwrap_or_default(),
        current.lines().nth(line).unwrap_or_default(),
    );
}

#[test]
fn the_catalogue_is_current() {
    check("nats/CATALOGUE.md", &crate::catalogue::render());
}

#[test]
fn the_asyncapi_document_is_current() {
    check("nats/asyncapi.json", &contracts::asyncapi::render());
}

#[test]
fn the_users_of_nats_are_current() {
    check("nats/users.conf", &contracts::permissions::render());
}

#[test]
fn the_openapi_document_is_current() {
    let document =
        serde_json::to_string_pretty(&gateway_api::openapi::document()).expect("a value serialises");
    check("services/gateway-api/openapi.json", &format!("{document}\n"));
}

/// The schema of what arcadia-llm-gateway publishes, for those who write it in another language.
fn check_schema<T: JsonSchema>(file: &str) {
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(T)).expect("a schema serialises");
    check(file, &format!("{schema}\n"));
}

#[test]
fn the_schema_of_recorded_usage_is_current() {
    check_schema::<UsageRecorded>("nats/schemas/usage-recorded.schema.json");
}

#[test]
fn the_schema_of_corrected_usage_is_current() {
    check_schema::<UsageCorrected>("nats/schemas/usage-corrected.schema.json");
}

#[test]
fn the_schema_of_voided_usage_is_current() {
    check_schema::<UsageVoided>("nats/schemas/usage-voided.schema.json");
}

/// The examples of the contract are what it says they are.
#[test]
fn the_usage_contract_shows_what_can_be_read() {
    let text =
        std::fs::read_to_string(crate::sources::root().join("nats/LLM_USAGE.md")).expect("it is there");
    let examples: Vec<&str> =
        text.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [recorded, corrected] = examples.as_slice() else { panic!("{} examples", examples.len()) };
    serde_json::from_str::<UsageRecorded>(recorded).expect("an example of recorded usage");
    serde_json::from_str::<UsageCorrected>(corrected).expect("an example of a correction");
}
