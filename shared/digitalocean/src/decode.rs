//! From bytes to rows. What went wrong is said by place and kind, never by quoting the answer, which may hold
//! passwords.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, DeserializeSeed},
};
use serde_json::error::Category;

use crate::{
    error::{Call, Error, quote},
    pages::Listing,
};

/// A page of a listing as it came.
pub(crate) struct ListAnswer<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
    pub total: Option<u64>,
}

/// Reads an answer that is one JSON value.
pub(crate) fn json<T: DeserializeOwned>(call: Call, body: &[u8]) -> Result<T, Error> {
    seeded(call, body, || PhantomData::<T>)
}

/// Reads one page of a listing.
pub(crate) fn list<T: DeserializeOwned>(
    call: Call,
    listing: Listing,
    body: &[u8],
) -> Result<ListAnswer<T>, Error> {
    let envelope = seeded(call, body, || EnvelopeSeed::<T> { key: listing.key, rows: PhantomData })?;
    let items = match envelope.items {
        Items::Some(items) => items,
        Items::Absent if listing.key_optional => Vec::new(),
        Items::Absent => {
            return Err(Error::Malformed { call, reason: format!("there is no list {}", listing.key) });
        }
        Items::Null => {
            return Err(Error::Malformed { call, reason: format!("the list {} is null", listing.key) });
        }
    };
    Ok(ListAnswer {
        items,
        next: envelope.links.and_then(|links| links.pages).and_then(|pages| pages.next),
        total: envelope.meta.and_then(|meta| meta.total),
    })
}

fn seeded<'de, S>(call: Call, body: &'de [u8], seed: impl Fn() -> S) -> Result<S::Value, Error>
where
    S: DeserializeSeed<'de>,
{
    let mut json = serde_json::Deserializer::from_slice(body);
    seed()
        .deserialize(&mut json)
        .and_then(|value| json.end().map(|()| value))
        .map_err(|error| Error::Malformed { call, reason: reason(&error, body, seed()) })
}

/// Reads the answer once more, keeping track of where it is. Only failures pay for that.
fn reason<'de, S: DeserializeSeed<'de>>(error: &serde_json::Error, body: &'de [u8], seed: S) -> String {
    if body.iter().all(u8::is_ascii_whitespace) {
        return "it is empty".to_owned();
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let place = match seed.deserialize(tracked) {
        Ok(_) => "after the end".to_owned(),
        Err(_) => quote(&track.path().to_string()),
    };
    let what = match error.classify() {
        Category::Eof => "it is cut short",
        Category::Syntax | Category::Io => "it is not JSON",
        Category::Data => "a field is missing or not of its kind",
    };
    format!("{what} (at {place}, line {}, column {})", error.line(), error.column())
}

enum Items<T> {
    Absent,
    Null,
    Some(Vec<T>),
}

struct Envelope<T> {
    items: Items<T>,
    links: Option<Links>,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Links {
    pages: Option<PageLinks>,
}

#[derive(Deserialize)]
struct PageLinks {
    next: Option<String>,
}

#[derive(Deserialize)]
struct Meta {
    total: Option<u64>,
}

/// Reads `{"<key>": […], "links": …, "meta": …}` in one pass, whatever the key and the order.
struct EnvelopeSeed<T> {
    key: &'static str,
    rows: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for EnvelopeSeed<T> {
    type Value = Envelope<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Envelope<T>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for EnvelopeSeed<T> {
    type Value = Envelope<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the list {}", self.key)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Envelope<T>, A::Error> {
        let mut envelope = Envelope { items: Items::Absent, links: None, meta: None };
        while let Some(field) = map.next_key::<Cow<'de, str>>()? {
            if field == self.key {
                // Two lists would make the second one overrule the first.
                if !matches!(envelope.items, Items::Absent) {
                    return Err(de::Error::duplicate_field(self.key));
                }
                envelope.items = map.next_value::<Option<Vec<T>>>()?.map_or(Items::Null, Items::Some);
            } else if field == "links" {
                envelope.links = map.next_value()?;
            } else if field == "meta" {
                envelope.meta = map.next_value()?;
            } else {
                map.next_value::<de::IgnoredAny>()?;
            }
        }
        Ok(envelope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        rows::{Database, Droplet},
        settings::Purpose,
    };

    fn call() -> Call {
        Call { operation: "droplets.list", purpose: Purpose::SyncFast }
    }

    fn reason_of(body: &str) -> String {
        match list::<Droplet>(call(), Listing::keyed("droplets"), body.as_bytes()) {
            Ok(answer) => format!("{} rows", answer.items.len()),
            Err(error) => {
                let text = error.to_string().replace("droplets.list (sync_fast): malformed answer: ", "");
                match text.split_once(", line ") {
                    Some((place, _)) => format!("{place})"),
                    None => text,
                }
            }
        }
    }

    #[test]
    fn a_broken_answer_is_described_by_place_and_kind() {
        for (body, want) in [
            (r#"{"droplets":[],"links":{},"meta":{"total":0}}"#, "0 rows"),
            (r#"{"droplets":[],"links":null,"meta":null}"#, "0 rows"),
            (r#"{"droplets":[]}"#, "0 rows"),
            ("", "it is empty"),
            ("  \n", "it is empty"),
            ("<html>", "it is not JSON (at .)"),
            (r#"{"droplets":null}"#, "the list droplets is null"),
            (r#"{"volumes":[]}"#, "there is no list droplets"),
            ("[]", "a field is missing or not of its kind (at .)"),
            (r#"{"droplets":[],"droplets":[]}"#, "a field is missing or not of its kind (at .)"),
            (r#"{"droplets":[{"id":"7"}]}"#, "a field is missing or not of its kind (at droplets[0].id)"),
            (r#"{"droplets":[{"id":7"#, "it is cut short (at droplets[0].?)"),
            (r#"{"droplets":[]} {}"#, "it is not JSON (at after the end)"),
        ] {
            assert_eq!(reason_of(body), want, "{body}");
        }
    }

    #[test]
    fn values_of_the_answer_are_never_quoted() {
        let body = r#"{"droplets":[{"id":"hunter2-secret"}]}"#;
        assert!(!reason_of(body).contains("hunter2"));
    }

    #[test]
    fn a_databases_secrets_have_nowhere_to_land() {
        let body = r#"{"databases":[{"id":"d1","name":"main","engine":"pg","status":"online","region":"nyc3",
            "connection":{"uri":"postgres://u:hunter2@h","password":"hunter2"},
            "users":[{"name":"doadmin","password":"hunter2"}],"tags":null,"db_names":null}]}"#;
        let answer = list::<Database>(call(), Listing::keyed("databases"), body.as_bytes()).unwrap();
        let kept = format!("{:?} {}", answer.items, serde_json::to_string(&answer.items).unwrap());
        assert!(kept.contains("main"));
        assert!(!kept.contains("hunter2"), "{kept}");
    }
}
