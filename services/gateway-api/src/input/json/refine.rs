//! From a typed parser's first complaint to the fields it is about, all unknown and missing ones at once.

use contracts::problem::FieldProblem;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;
use serde_path_to_error::Segment;

use super::shape::pointer;

/// The refused fields of a body of the type `T` whose top-level names are `keys`.
pub(super) fn fields<T: JsonSchema>(
    keys: &[String],
    error: &serde_path_to_error::Error<serde_json::Error>,
) -> Vec<FieldProblem> {
    let schema = SchemaGenerator::default().into_root_schema_for::<T>();
    let properties = schema.get("properties").and_then(Value::as_object);
    let known = |key: &str| properties.is_some_and(|properties| properties.contains_key(key));
    let unknown = keys.iter().filter(|key| !known(key)).map(|key| FieldProblem {
        field: pointer("", key),
        detail: "is no field of this operation".to_owned(),
    });
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let missing = required.filter_map(Value::as_str).filter(|name| !keys.iter().any(|key| key == name));
    let missing =
        missing.map(|name| FieldProblem { field: pointer("", name), detail: "is required".to_owned() });
    let problems: Vec<FieldProblem> = unknown.chain(missing).collect();
    if !problems.is_empty() {
        return problems;
    }
    let at = error.path().iter().fold(String::new(), |parent, segment| match segment {
        Segment::Seq { index } => format!("{parent}/{index}"),
        Segment::Map { key } => pointer(&parent, key),
        Segment::Enum { variant } => pointer(&parent, variant),
        Segment::Unknown => parent,
    });
    // A variant of an enum that is no string is a mistake of grammar to the parser, and its positions are in a text
    // that the caller may have written in other lines.
    let detail = if error.inner().is_data() {
        let detail = error.inner().to_string();
        detail.rsplit_once(" at line ").map_or(detail.clone(), |(detail, _)| detail.to_owned())
    } else {
        "is of another type than this field".to_owned()
    };
    vec![FieldProblem { field: at, detail }]
}
