//! Everything behind the one lock, and what becomes of a call.

use serde_json::Value;

use crate::answer::{Answer, Refusal};
use crate::call::Call;
use crate::clock::{Clock, stamp};
use crate::delivery::{Delivery, misbehave};
use crate::faults::{Faults, Target};
use crate::lifecycle::{Lags, settle};
use crate::limits::{Limits, Standing};
use crate::log::{Entry, Log};
use crate::options::Options;
use crate::routes;
use crate::state::Account;

/// What any personal token begins with.
const TOKEN_PREFIX: &str = "dop_v1_";

/// The simulated service.
#[derive(Debug)]
pub struct World {
    /// The account all tokens belong to.
    pub account: Account,
    /// Time.
    pub clock: Clock,
    /// Faults that are set.
    pub faults: Faults,
    /// Calls so far.
    pub log: Log,
    /// Whether the account changed since it was last saved.
    pub changed: bool,
    limits: Limits,
    lags: Lags,
    tokens: Vec<String>,
}

/// A call as it came in.
#[derive(Debug)]
pub struct Asked {
    /// HTTP method.
    pub method: String,
    /// Path without the query, still encoded.
    pub path: String,
    /// Query, still encoded.
    pub query: String,
    /// Bearer token, if there was one.
    pub token: Option<String>,
    /// Scheme and host that the caller used.
    pub base: String,
    /// The body.
    pub body: bytes::Bytes,
}

/// What to send, and when.
#[derive(Debug)]
pub struct Reply {
    /// What is sent.
    pub delivery: Delivery,
    /// After this many milliseconds.
    pub delay_ms: u64,
    /// Headers every response has.
    pub rate: Vec<(&'static str, String)>,
}

impl World {
    /// A service with an account.
    pub fn new(options: &Options, account: Account, clock: Clock) -> Self {
        Self {
            account,
            clock,
            faults: Faults::default(),
            log: Log::default(),
            changed: true,
            limits: Limits::new(options.rates()),
            lags: options.lags(),
            tokens: options.tokens.clone(),
        }
    }

    /// Lets everything happen that is due.
    pub fn settle(&mut self) {
        self.changed |= settle(&mut self.account, &self.clock, &self.lags);
    }

    /// Answers a call.
    pub fn answer(&mut self, asked: &Asked) -> Reply {
        self.settle();
        let found = routes::find(&asked.method, &asked.path);
        let operation = found.as_ref().map(|(operation, _)| operation.id);
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(asked.query.as_bytes()).into_owned().collect();
        let page = query.iter().find(|(name, _)| name == "page").and_then(|(_, page)| page.parse().ok());
        let target = Target {
            operation,
            method: &asked.method,
            path: &asked.path,
            token: asked.token.as_deref(),
            page: page.unwrap_or(1),
        };
        let (standing, admitted) = self.admit(asked, operation);
        let (delay_ms, behaviour) = match admitted {
            Ok(()) => self.faults.strike(&target),
            // A fault is laid over calls that would have been served.
            Err(_) => (0, None),
        };
        let executes = behaviour.as_ref().is_none_or(|behaviour| behaviour.takes_effect());
        let answer = match (admitted, executes) {
            (Err(refusal), _) => refusal.into(),
            (Ok(()), false) => Answer::no_content(),
            (Ok(()), true) => self.execute(asked, found, query),
        };
        let executed = executes && answer.status < 400;
        let delivery = match &behaviour {
            Some(behaviour) => {
                let url = format!("{}{}?{}", asked.base, asked.path, asked.query);
                misbehave(behaviour, answer, &url)
            }
            None => Delivery::Whole(answer),
        };
        self.log.add(Entry {
            seq: 0,
            time: self.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            token: asked.token.clone(),
            method: asked.method.clone(),
            path: if asked.query.is_empty() {
                asked.path.clone()
            } else {
                format!("{}?{}", asked.path, asked.query)
            },
            operation,
            status: match &delivery {
                Delivery::Whole(answer) | Delivery::Drip(answer) | Delivery::Half(answer) => {
                    Some(answer.status)
                }
                Delivery::Huge => Some(200),
                Delivery::Never | Delivery::Reset => None,
            },
            executed,
            fault: behaviour.as_ref().map(|behaviour| behaviour.name().to_owned()),
            body: if asked.method == "GET" { None } else { serde_json::from_slice(&asked.body).ok() },
        });
        let rate = standing.map(|standing| {
            vec![
                ("ratelimit-limit", standing.limit.to_string()),
                ("ratelimit-remaining", standing.remaining.to_string()),
                ("ratelimit-reset", standing.reset.to_string()),
            ]
        });
        Reply { delivery, delay_ms, rate: rate.unwrap_or_default() }
    }

    /// A token that is unknown has no rate limit to count against.
    fn admit(&mut self, asked: &Asked, operation: Option<&str>) -> (Option<Standing>, Result<(), Refusal>) {
        let known = asked.token.as_deref().filter(|token| {
            if self.tokens.is_empty() {
                token.starts_with(TOKEN_PREFIX)
            } else {
                self.tokens.iter().any(|known| known == token)
            }
        });
        let Some(token) = known else { return (None, Err(Refusal::unauthorized())) };
        let lists_keys = operation == Some("sshKeys_list");
        let (standing, verdict) = self.limits.admit(token, lists_keys, self.clock.now());
        (Some(standing), verdict)
    }

    fn execute(
        &mut self,
        asked: &Asked,
        found: Option<(&'static routes::Operation, Vec<String>)>,
        query: Vec<(String, String)>,
    ) -> Answer {
        let Some((operation, params)) = found else { return Refusal::no_such_operation().into() };
        let body = if asked.body.is_empty() {
            Value::Null
        } else {
            match serde_json::from_slice(&asked.body) {
                Ok(body) => body,
                Err(_) => return Refusal::bad_request("Unable to parse the request body as JSON").into(),
            }
        };
        let call = Call {
            base: &asked.base,
            path: &asked.path,
            query,
            params,
            body,
            now: self.clock.now(),
            clock: &self.clock,
            lags: &self.lags,
        };
        let answer = (operation.run)(&mut self.account, &call).unwrap_or_else(Answer::from);
        self.changed |= asked.method != "GET" && answer.status < 400;
        answer
    }

    /// The whole account with the time in it.
    pub fn to_state(&self) -> Value {
        let mut state = self.account.to_state();
        state["now"] = stamp(self.clock.now()).into();
        state
    }
}
