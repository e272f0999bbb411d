//! A JSON object field by field: every name at most once, every value checked by itself, every problem told.

use std::{borrow::Cow, fmt, fmt::Display, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use contracts::{
    ids::RequestId,
    llm_gateway::{CHARGE_BELOW, TOKENS_MAX},
    problem::FieldProblem,
};
use money::{Charge, Decimal};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Unreadable;

/// How far ahead of ours the gateway's clock may be.
const AHEAD_MAX: TimeDelta = TimeDelta::minutes(5);
/// 2020-01-01T00:00:00Z: before that there was nothing to count.
const EARLIEST_SECONDS: i64 = 1_577_836_800;
/// Longest name that is shown in a problem, in characters.
const NAME_SHOWN_MAX: usize = 64;
/// Longest text about one problem, in bytes.
const DETAIL_SHOWN_MAX: usize = 120;
/// Most problems told of one event.
const PROBLEMS_MAX: usize = 20;

/// What becomes of fields that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Nothing: a newer sender may have more to say.
    LeftOut,
    /// They are a problem: what somebody wrote and nobody read is a mistake.
    Refused,
}

/// A field was refused, and the form knows why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused;

/// An object with `N` known fields, and what is wrong with them.
pub(super) struct Form<'a, const N: usize> {
    names: [&'static str; N],
    values: [Option<&'a RawValue>; N],
    problems: Vec<FieldProblem>,
}

impl<'a, const N: usize> Form<'a, N> {
    /// Finds the fields of an object.
    pub(super) fn open(text: &'a str, names: [&'static str; N], unknown: Unknown) -> Self {
        let mut form = Self { names, values: [None; N], problems: Vec::new() };
        // serde would read an object from an array too, by position.
        let found = match text.bytes().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => {
                let mut json = serde_json::Deserializer::from_str(text);
                json.deserialize_map(Members { form: &mut form, unknown })
                    .and_then(|()| json.end())
                    .map_err(|error| format!("it is not JSON: {error}"))
            }
            Some(_) => Err("it is no JSON object".to_owned()),
            None => Err("it is empty".to_owned()),
        };
        if let Err(detail) = found {
            // What was found before the text broke off says nothing.
            form.values = [None; N];
            form.problems = vec![FieldProblem { field: String::new(), detail: shown(detail) }];
        }
        form
    }

    /// A required field, as `read` has it.
    fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'a RawValue) -> Result<T, String>,
    ) -> Result<T, Refused> {
        match self.value(name) {
            Some(raw) => read(raw).map_err(|detail| self.refuse(pointer(name), detail)),
            None => Err(self.refuse(pointer(name), "is required".to_owned())),
        }
    }

    /// A field that may be left out, which is not the same as null.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'a RawValue) -> Result<T, String>,
        absent: impl FnOnce() -> T,
    ) -> Result<T, Refused> {
        match self.value(name) {
            Some(raw) => read(raw).map_err(|detail| self.refuse(pointer(name), detail)),
            None => Ok(absent()),
        }
    }

    /// A text that is a value of its type.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Result<T, Refused> {
        self.required(name, |raw| string(raw)?.parse().map_err(|error: T::Err| error.to_string()))
    }

    /// A text of 1 to `max` characters.
    pub(super) fn text(&mut self, name: &'static str, max: usize) -> Result<String, Refused> {
        self.required(name, |raw| {
            let text = string(raw)?;
            // NUL cannot be stored, and no control has any business in a name or a reason.
            let fits = (1..=max).contains(&text.chars().count()) && !text.chars().any(char::is_control);
            if fits {
                Ok(text.into_owned())
            } else {
                Err(format!("must be 1 to {max} characters, without control characters"))
            }
        })
    }

    /// A number of tokens.
    pub(super) fn count(&mut self, name: &'static str) -> Result<i64, Refused> {
        self.required(name, count)
    }

    /// Money.
    pub(super) fn charge(&mut self, name: &'static str) -> Result<Charge, Refused> {
        self.required(name, |raw| {
            if !raw.get().starts_with('"') {
                return Err(
                    "must be money as a decimal string such as \"0.0125\"; a JSON number has been a float"
                        .to_owned(),
                );
            }
            let charge: Charge =
                string(raw)?.parse().map_err(|error: money::InvalidDecimal| error.to_string())?;
            // So small that no sum of them has more digits than can be kept exactly.
            if charge.get() >= Decimal::from(CHARGE_BELOW) {
                return Err(format!("must be less than {CHARGE_BELOW}"));
            }
            Ok(charge)
        })
    }

    /// A time that is plausible at `now`, as precise as Postgres keeps it.
    pub(super) fn time(&mut self, name: &'static str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Refused> {
        self.required(name, |raw| {
            let time = instant(&string(raw)?)?;
            if time.timestamp() < EARLIEST_SECONDS {
                return Err("must not be before 2020".to_owned());
            }
            if time > now + AHEAD_MAX {
                return Err("must not be more than 5 minutes ahead".to_owned());
            }
            Ok(time)
        })
    }

    /// What was built of the fields, if nothing was wrong with any.
    pub(super) fn close<T>(self, id: Option<RequestId>, built: Result<T, Refused>) -> Result<T, Unreadable> {
        match built {
            Ok(built) if self.problems.is_empty() => Ok(built),
            Ok(_) | Err(Refused) => Err(Unreadable { id, problems: self.problems }),
        }
    }

    fn value(&self, name: &'static str) -> Option<&'a RawValue> {
        self.names.iter().position(|known| *known == name).and_then(|place| self.values[place])
    }

    fn refuse(&mut self, field: String, detail: String) -> Refused {
        // A text that is no object has one problem, not one for each field that is not in it.
        let hopeless = self.problems.first().is_some_and(|problem| problem.field.is_empty());
        if !hopeless && self.problems.len() < PROBLEMS_MAX {
            self.problems.push(FieldProblem { field, detail: shown(detail) });
        }
        Refused
    }
}

/// What a library says may quote what it read.
fn shown(mut detail: String) -> String {
    detail.truncate(detail.floor_char_boundary(DETAIL_SHOWN_MAX));
    detail
}

/// The JSON Pointer (RFC 6901) of a member, cut to what is safe to show.
fn pointer(name: &str) -> String {
    let shown: String =
        name.chars().take(NAME_SHOWN_MAX).map(|c| if c.is_control() { '?' } else { c }).collect();
    format!("/{}", shown.replace('~', "~0").replace('/', "~1"))
}

struct Members<'f, 'a, const N: usize> {
    form: &'f mut Form<'a, N>,
    unknown: Unknown,
}

impl<'de, const N: usize> Visitor<'de> for Members<'_, 'de, N> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { form, unknown } = self;
        while let Some(name) = members.next_key_seed(Name(&form.names))? {
            match name {
                Named::Known(place) => {
                    if form.values[place].replace(members.next_value::<&'de RawValue>()?).is_some() {
                        form.refuse(pointer(form.names[place]), "occurs more than once".to_owned());
                    }
                }
                Named::Unknown(name) => {
                    members.next_value::<IgnoredAny>()?;
                    if unknown == Unknown::Refused {
                        form.refuse(pointer(&name), "is no field of an event".to_owned());
                    }
                }
            }
        }
        Ok(())
    }
}

enum Named {
    Known(usize),
    Unknown(String),
}

/// Finds a name among those that are known.
struct Name<'n>(&'n [&'static str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Named;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Named, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Named, E> {
        Ok(match self.0.iter().position(|known| *known == name) {
            Some(place) => Named::Known(place),
            None => Named::Unknown(name.to_owned()),
        })
    }
}

/// A JSON string, escapes resolved.
pub(super) fn string(raw: &RawValue) -> Result<Cow<'_, str>, String> {
    let text = raw.get();
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        None => Err("must be a string".to_owned()),
        Some(inside) if !inside.contains('\\') => Ok(Cow::Borrowed(inside)),
        Some(_) => serde_json::from_str::<String>(text)
            .map(Cow::Owned)
            .map_err(|_| "holds an escape that is no character".to_owned()),
    }
}

/// A JSON integer, as a number of tokens.
pub(super) fn count(raw: &RawValue) -> Result<i64, String> {
    // JSON's own grammar leaves no sign but `-` and no leading zero.
    match raw.get().parse::<u64>() {
        Ok(count) if count <= TOKENS_MAX => i64::try_from(count).map_err(|error| error.to_string()),
        _ => Err("must be a whole number from 0 to 1000000000000".to_owned()),
    }
}

/// A time of RFC 3339 in one of its spellings. The library also takes spaces and lower case for the `T`, leap
/// seconds, and any number of digits, of which it keeps nine.
fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let bytes = text.as_bytes();
    let shape = (20..=35).contains(&bytes.len())
        && bytes[10] == b'T'
        && !bytes.contains(&b'z')
        && bytes[17..19] < b"60"[..]
        && bytes[19..].iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count() <= 9;
    let refuse = || "must be a time with an offset, such as 2026-11-24T13:20:00Z".to_owned();
    if !shape {
        return Err(refuse());
    }
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| refuse())?;
    DateTime::from_timestamp_micros(time.timestamp_micros()).ok_or_else(refuse)
}
