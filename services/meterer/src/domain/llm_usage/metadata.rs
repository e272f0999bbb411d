//! Metadata in one spelling: sorted keys, no spaces, text without needless escapes, decimals without needless zeros.
//! Numbers stay digits: they are never read into a float.

use std::{borrow::Cow, fmt};

use contracts::llm_gateway::METADATA_BYTES_MAX;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::string;

/// Deeper than this is no metadata.
const DEPTH_MAX: usize = 32;
/// Six bytes of an escape may be one of text: what is longer than this cannot come to few enough.
const RAW_BYTES_MAX: usize = 6 * METADATA_BYTES_MAX;

/// The one spelling of an object.
pub(super) fn canonical(raw: &RawValue) -> Result<String, String> {
    let text = raw.get();
    if !text.starts_with('{') {
        return Err("must be an object".to_owned());
    }
    let too_long = || format!("must be at most {METADATA_BYTES_MAX} bytes of JSON");
    if text.len() > RAW_BYTES_MAX {
        return Err(too_long());
    }
    let mut out = String::with_capacity(text.len());
    write(&mut out, raw, DEPTH_MAX)?;
    if out.len() > METADATA_BYTES_MAX { Err(too_long()) } else { Ok(out) }
}

fn write(out: &mut String, raw: &RawValue, depth: usize) -> Result<(), String> {
    let text = raw.get();
    let Some(deeper) = depth.checked_sub(1) else {
        return Err(format!("must be nested at most {DEPTH_MAX} deep"));
    };
    match text.as_bytes().first() {
        Some(b'{') => {
            let mut json = serde_json::Deserializer::from_str(text);
            let mut members =
                json.deserialize_map(Members).map_err(|error| format!("is not readable: {error}"))?;
            members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            if members.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                return Err("holds a name more than once".to_owned());
            }
            out.push('{');
            for (place, (name, value)) in members.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_text(out, &name)?;
                out.push(':');
                write(out, value, deeper)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            let items: Vec<&RawValue> =
                serde_json::from_str(text).map_err(|error| format!("is not readable: {error}"))?;
            out.push('[');
            for (place, item) in items.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write(out, item, deeper)?;
            }
            out.push(']');
        }
        Some(b'"') => write_text(out, &string(raw)?)?,
        Some(b'-' | b'0'..=b'9') => out.push_str(number(text)?),
        _ => out.push_str(text),
    }
    Ok(())
}

fn write_text(out: &mut String, text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err("holds a NUL character".to_owned());
    }
    out.push_str(&serde_json::to_string(text).map_err(|error| error.to_string())?);
    Ok(())
}

/// A number without the zeros that end its fraction; one with an exponent as it is.
fn number(text: &str) -> Result<&str, String> {
    // Grammar allows what no reader of JSON takes.
    if !text.parse::<f64>().is_ok_and(f64::is_finite) {
        return Err("holds a number that is too large".to_owned());
    }
    let trimmed = if text.contains(['e', 'E']) || !text.contains('.') {
        text
    } else {
        text.trim_end_matches('0').trim_end_matches('.')
    };
    Ok(if trimmed == "-0" { "0" } else { trimmed })
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(name) = members.next_key::<&'de RawValue>()? {
            let name = string(name).map_err(serde::de::Error::custom)?;
            all.push((name, members.next_value::<&'de RawValue>()?));
        }
        Ok(all)
    }
}
