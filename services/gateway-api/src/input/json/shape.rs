//! A first look at a body: is it JSON, is it an object, is anything said twice or in characters that may not
//! stand in text. What a typed parser would report one at a time, or not at all, is found here at once.

use std::{collections::HashSet, fmt};

use contracts::problem::FieldProblem;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::input::text::is_plain;

/// Most problems reported for one body.
const PROBLEMS_MAX: usize = 20;

/// What the first look found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// The names at the top; `None` when the body is no object.
    pub(super) keys: Option<Vec<String>>,
    /// Fields that no operation takes.
    pub(super) problems: Vec<FieldProblem>,
}

/// Looks at a body; `Err` when it is not one JSON text.
pub(super) fn of(body: &[u8]) -> Result<Shape, serde_json::Error> {
    let mut problems = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let keys = Look { at: String::new(), problems: &mut problems }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(Shape { keys, problems })
}

/// Looks at the names at the top and no deeper.
pub(super) fn top_of(body: &[u8]) -> Result<Shape, serde_json::Error> {
    let mut shape = Shape { keys: None, problems: Vec::new() };
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{') {
        let members: Vec<String> = serde_json::from_slice::<Names>(body)?.0;
        let mut seen = HashSet::new();
        for name in members.iter().filter(|name| !seen.insert(name.as_str())) {
            let detail = "occurs more than once".to_owned();
            shape.problems.push(FieldProblem { field: pointer("", name), detail });
        }
        shape.keys = Some(members);
    } else {
        serde_json::from_slice::<IgnoredAny>(body)?;
    }
    Ok(shape)
}

/// The names of an object's members, in order.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamesVisitor).map(Self)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut names = Vec::new();
        while let Some((Key(name), IgnoredAny)) = entries.next_entry()? {
            names.push(name);
        }
        Ok(names)
    }
}

/// Visits one value; `at` is its JSON Pointer.
struct Look<'a> {
    at: String,
    problems: &'a mut Vec<FieldProblem>,
}

impl Look<'_> {
    fn refuse(&mut self, field: String, detail: &str) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(FieldProblem { field, detail: detail.to_owned() });
        }
    }

    fn check(&mut self, text: &str) {
        if !is_plain(text) {
            self.refuse(self.at.clone(), "holds a control, direction or invisible character");
        }
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = Option<Vec<String>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = Option<Vec<String>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(mut self, text: &str) -> Result<Self::Value, E> {
        self.check(text);
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut index = 0_usize;
        while let Some(_keys) =
            items.next_element_seed(Look { at: format!("{}/{index}", self.at), problems: self.problems })?
        {
            index += 1;
        }
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut keys = Vec::new();
        let mut seen = HashSet::new();
        while let Some(Key(key)) = entries.next_key()? {
            let at = pointer(&self.at, &key);
            if !seen.insert(key.clone()) {
                self.refuse(at.clone(), "occurs more than once");
            }
            entries.next_value_seed(Look { at, problems: &mut *self.problems })?;
            keys.push(key);
        }
        Ok(Some(keys))
    }
}

/// A name as it is written, escapes resolved.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// The JSON Pointer (RFC 6901) of a member, cut to what is safe to send back.
pub(super) fn pointer(parent: &str, key: &str) -> String {
    let plain: String =
        key.chars().take(64).map(|c| if is_plain(c.encode_utf8(&mut [0; 4])) { c } else { '?' }).collect();
    format!("{parent}/{}", plain.replace('~', "~0").replace('/', "~1"))
}
