//! One call as the operations see it.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::answer::{Answer, Refusal};
use crate::clock::Clock;
use crate::lifecycle::Lags;
use crate::state::Account;

/// A call whose operation is known and whose token was admitted.
#[derive(Debug)]
pub struct Call<'a> {
    /// Scheme and host that the caller used, so that links stay on it.
    pub base: &'a str,
    /// The path as it was sent.
    pub path: &'a str,
    /// Decoded query, in order.
    pub query: Vec<(String, String)>,
    /// Decoded variable segments of the path, in order.
    pub params: Vec<String>,
    /// The JSON body; null when there was none.
    pub body: Value,
    /// When it arrived.
    pub now: DateTime<Utc>,
    /// For delays.
    pub clock: &'a Clock,
    /// Lags that a test may have changed.
    pub lags: &'a Lags,
}

/// What every operation is.
pub type Handler = fn(&mut Account, &Call<'_>) -> Result<Answer, Refusal>;

impl Call<'_> {
    /// A query parameter; an empty one counts as absent.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// A variable segment of the path.
    pub fn param(&self, index: usize) -> &str {
        &self.params[index]
    }

    /// A text of the body.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name)?.as_str()
    }

    /// A text that must be there and not be empty.
    pub fn need_text(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Refusal::unprocessable(format!("{name} is required")))
    }

    /// A boolean of the body, false when absent.
    pub fn flag(&self, name: &str) -> bool {
        self.body.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A list of texts of the body, empty when absent.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let list = self.body.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// When something that takes the provider `seconds` will be over.
    pub fn due(&self, seconds: f64) -> DateTime<Utc> {
        self.now + self.clock.delay(seconds)
    }
}
