//! Misbehaviour on demand: which calls it is laid over, and what it is.

use serde_json::{Map, Value, json};

use crate::rejected::Rejected;
use crate::routes;

/// Where a redirect or a foreign `next` points unless the fault says otherwise: nowhere that resolves.
const ELSEWHERE: &str = "http://elsewhere.invalid/v2/droplets?page=2";

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Behaviour {
    /// This answer instead, and no effect.
    Answer {
        /// HTTP status.
        status: u16,
        /// A JSON text is sent as it is, any other value as JSON; absent is the documented error.
        body: Option<Value>,
        /// More headers.
        headers: Vec<(String, String)>,
    },
    /// No answer ever, and no effect.
    Hang,
    /// The true answer, a byte a second.
    Drip,
    /// The connection is reset without an answer or an effect.
    Reset,
    /// Half of the true answer, then the connection closes.
    Truncate,
    /// A web page with status 200, and no effect.
    Html,
    /// The true answer with its list replaced by null.
    NullList,
    /// The true answer with an empty list and a total of zero.
    EmptyList,
    /// The true answer, whose `next` is the page itself.
    PageLoop,
    /// The true answer, whose `next` is on another host.
    ForeignNext(String),
    /// Hundreds of megabytes that never become JSON.
    Huge,
    /// A small body that inflates to hundreds of megabytes.
    GzipBomb,
    /// 302 to another host.
    Redirect(String),
    /// The effect takes place; the answer is a 500.
    CommitThen500,
    /// The effect takes place; the connection is reset without an answer.
    CommitThenReset,
    /// The effect takes place at once; the true answer comes this many milliseconds later.
    DelayMs(u64),
    /// The true answer without its first rows; the total still counts them.
    DropRows(usize),
}

impl Behaviour {
    /// Whether the operation runs.
    pub fn takes_effect(&self) -> bool {
        match self {
            Self::Answer { .. }
            | Self::Hang
            | Self::Reset
            | Self::Html
            | Self::Huge
            | Self::GzipBomb
            | Self::Redirect(_) => false,
            Self::Drip
            | Self::Truncate
            | Self::NullList
            | Self::EmptyList
            | Self::PageLoop
            | Self::ForeignNext(_)
            | Self::CommitThen500
            | Self::CommitThenReset
            | Self::DelayMs(_)
            | Self::DropRows(_) => true,
        }
    }

    /// The name by which it is asked for.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Answer { .. } => "status",
            Self::Hang => "hang",
            Self::Drip => "drip",
            Self::Reset => "reset",
            Self::Truncate => "truncate",
            Self::Html => "html",
            Self::NullList => "null_list",
            Self::EmptyList => "empty_list",
            Self::PageLoop => "page_loop",
            Self::ForeignNext(_) => "foreign_next",
            Self::Huge => "huge",
            Self::GzipBomb => "gzip_bomb",
            Self::Redirect(_) => "redirect",
            Self::CommitThen500 => "commit_then_500",
            Self::CommitThenReset => "commit_then_reset",
            Self::DelayMs(_) => "delay_ms",
            Self::DropRows(_) => "drop_rows",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "hang" => Self::Hang,
            "drip" => Self::Drip,
            "reset" => Self::Reset,
            "truncate" => Self::Truncate,
            "html" => Self::Html,
            "null_list" => Self::NullList,
            "empty_list" => Self::EmptyList,
            "page_loop" => Self::PageLoop,
            "foreign_next" => Self::ForeignNext(ELSEWHERE.to_owned()),
            "huge" => Self::Huge,
            "gzip_bomb" => Self::GzipBomb,
            "redirect" => Self::Redirect(ELSEWHERE.to_owned()),
            "commit_then_500" => Self::CommitThen500,
            "commit_then_reset" => Self::CommitThenReset,
            _ => return None,
        })
    }

    /// From a name, or an object with one key that needs a value.
    fn parse(value: &Value) -> Result<Self, Rejected> {
        let unknown = || Rejected::new("behaviour", "unknown behaviour");
        if let Some(name) = value.as_str() {
            return Self::named(name).ok_or_else(unknown);
        }
        let object = value.as_object().ok_or_else(unknown)?;
        let number = |name: &str| object.get(name).and_then(Value::as_u64);
        let text = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
        if let Some(status) = object.get("status") {
            return Self::parse_answer(status, object);
        }
        if let Some(ms) = number("delay_ms") {
            return Ok(Self::DelayMs(ms));
        }
        if let Some(rows) = number("drop_rows") {
            return Ok(Self::DropRows(usize::try_from(rows).map_err(|_| unknown())?));
        }
        if let Some(url) = text("redirect") {
            return Ok(Self::Redirect(url));
        }
        text("foreign_next").map(Self::ForeignNext).ok_or_else(unknown)
    }

    fn parse_answer(status: &Value, object: &Map<String, Value>) -> Result<Self, Rejected> {
        let status = status.as_u64().filter(|status| (200..600).contains(status));
        let status = status.ok_or_else(|| Rejected::new("behaviour.status", "must be 200 to 599"))?;
        let mut headers = Vec::new();
        match object.get("headers") {
            None | Some(Value::Null) => {}
            Some(Value::Object(given)) => {
                for (name, value) in given {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let valid = http::HeaderName::from_bytes(name.as_bytes()).is_ok()
                        && http::HeaderValue::from_str(&text).is_ok();
                    if !valid {
                        return Err(Rejected::new(format!("behaviour.headers.{name}"), "is no valid header"));
                    }
                    headers.push((name.to_ascii_lowercase(), text));
                }
            }
            Some(_) => return Err(Rejected::new("behaviour.headers", "must be an object")),
        }
        let status = u16::try_from(status).expect("a status below 600 fits");
        Ok(Self::Answer { status, body: object.get("body").cloned(), headers })
    }
}

/// A behaviour and the calls it is for.
#[derive(Debug, Clone)]
pub struct Fault {
    operation: Option<String>,
    method: Option<String>,
    path: Option<String>,
    token: Option<String>,
    page: Option<u64>,
    behaviour: Behaviour,
    /// How often it still strikes; `None` is for ever.
    left: Option<u64>,
    hits: u64,
}

/// What a fault may look at.
#[derive(Debug)]
pub struct Target<'a> {
    /// Name of the operation, if the path is one.
    pub operation: Option<&'a str>,
    /// HTTP method.
    pub method: &'a str,
    /// Path without the query.
    pub path: &'a str,
    /// Bearer token.
    pub token: Option<&'a str>,
    /// Page asked for; 1 when none was.
    pub page: u64,
}

const FIELDS: [&str; 7] = ["operation", "method", "path", "token", "page", "behaviour", "times"];

impl Fault {
    /// From the control port's JSON.
    pub fn parse(value: &Value) -> Result<Self, Rejected> {
        let object = value.as_object().ok_or_else(|| Rejected::new("body", "must be an object"))?;
        if let Some(name) = object.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(Rejected::new(name, "unknown field"));
        }
        let text = |name: &str| match object.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Rejected::new(name, "must be a text")),
        };
        let number = |name: &str| match object.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                value.as_u64().map(Some).ok_or_else(|| Rejected::new(name, "must be a whole number"))
            }
        };
        let operation = text("operation")?;
        let path = text("path")?;
        match (&operation, &path) {
            (None, None) => return Err(Rejected::new("operation", "operation or path is required")),
            (Some(operation), _) if operation != "*" && !routes::exists(operation) => {
                return Err(Rejected::new("operation", "no such operation"));
            }
            (Some(_), _) | (None, Some(_)) => {}
        }
        let behaviour = object.get("behaviour").ok_or_else(|| Rejected::new("behaviour", "is required"))?;
        Ok(Self {
            operation,
            method: text("method")?.map(|method| method.to_ascii_uppercase()),
            path,
            token: text("token")?,
            page: number("page")?,
            behaviour: Behaviour::parse(behaviour)?,
            left: number("times")?,
            hits: 0,
        })
    }

    fn matches(&self, target: &Target<'_>) -> bool {
        self.left != Some(0)
            && self.operation.as_deref().is_none_or(|name| name == "*" || target.operation == Some(name))
            && self.method.as_deref().is_none_or(|method| method == target.method)
            && self.path.as_deref().is_none_or(|path| target.path.starts_with(path))
            && self.token.as_deref().is_none_or(|token| target.token == Some(token))
            && self.page.is_none_or(|page| page == target.page)
    }

    fn to_json(&self) -> Value {
        json!({
            "operation": self.operation, "method": self.method, "path": self.path, "token": self.token,
            "page": self.page, "behaviour": self.behaviour.name(), "left": self.left, "hits": self.hits,
        })
    }
}

/// The faults that are set, in order.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Adds one.
    pub fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// As the control port shows them.
    pub fn to_json(&self) -> Value {
        self.0.iter().map(Fault::to_json).collect()
    }

    /// What strikes a call: every delay that matches, and the first other behaviour.
    pub fn strike(&mut self, target: &Target<'_>) -> (u64, Option<Behaviour>) {
        let (mut delay_ms, mut chosen) = (0, None);
        for fault in &mut self.0 {
            let is_delay = matches!(fault.behaviour, Behaviour::DelayMs(_));
            if !fault.matches(target) || (!is_delay && chosen.is_some()) {
                continue;
            }
            fault.hits += 1;
            fault.left = fault.left.map(|left| left - 1);
            match &fault.behaviour {
                Behaviour::DelayMs(ms) => delay_ms += ms,
                other => chosen = Some(other.clone()),
            }
        }
        (delay_ms, chosen)
    }
}
