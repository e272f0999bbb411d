//! The client: sends a request within its token's budget, repeats it where that is safe, and sorts the answer.

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use reqwest::{
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
    redirect,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use tracing::Instrument;
use url::Url;

use crate::{
    budget::{Budget, BudgetSize, Permit},
    decode,
    error::{Call, Error, Outage, quote},
    exchange::{Answer, Failure, exchange},
    pages::{Listing, Pages},
    request::Request,
    retry,
    rows::Row,
    settings::{Limits, Purpose, Settings, SettingsError},
};

/// A client of the provider for one purpose. Cloning it is cheap; clones share connections and budget.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    http: reqwest::Client,
    base_url: Url,
    token: SecretString,
    purpose: Purpose,
    limits: Limits,
    budget: Arc<Budget>,
    trace_header: Option<fn() -> Option<String>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { base_url, purpose, .. } = &*self.shared;
        f.debug_struct("Client").field("base_url", &base_url.as_str()).field("purpose", purpose).finish()
    }
}

impl Client {
    /// Sets a client up. Nothing is sent yet.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let Settings { base_url, token, purpose, limits, budget, trace_header } = settings;
        check_address(&base_url)?;
        check_limits(&limits)?;
        let http = http_client(&base_url, &token, limits.connect)?;
        let size = BudgetSize { per_minute: limits.budget_per_minute, per_hour: limits.budget_per_hour };
        let budget = budget.unwrap_or_else(|| Arc::new(Budget::new(size)));
        let shared = Shared { http, base_url, token, purpose, limits, budget, trace_header };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What the client's token is for.
    pub fn purpose(&self) -> Purpose {
        self.shared.purpose
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    pub(crate) fn base_url(&self) -> &Url {
        &self.shared.base_url
    }

    pub(crate) fn call(&self, operation: &'static str) -> Call {
        Call { operation, purpose: self.shared.purpose }
    }

    pub(crate) fn pages<T: Row>(&self, request: Request, listing: Listing) -> Pages<T> {
        Pages::new(self.clone(), request, listing)
    }

    /// Sends a request whose answer is one JSON value.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Error> {
        let body = self.send(request).await?;
        decode::json(self.call(request.operation), &body)
    }

    /// Sends a request whose answer is its status alone.
    pub(crate) async fn tell(&self, request: &Request) -> Result<(), Error> {
        self.send(request).await.map(drop)
    }

    /// Sends a request and gives the body of its successful answer.
    pub(crate) async fn send(&self, request: &Request) -> Result<Vec<u8>, Error> {
        self.send_within(request, self.limits().body_bytes_max).await
    }

    /// As [`Client::send`], with a limit of its own on the body.
    pub(crate) async fn send_within(&self, request: &Request, bytes_max: usize) -> Result<Vec<u8>, Error> {
        let call = self.call(request.operation);
        let limits = self.limits();
        let url =
            request.url(&self.shared.base_url).map_err(|argument| Error::Argument { call, argument })?;
        let mut attempt = 0;
        loop {
            let permit = self.shared.budget.acquire(limits.budget_wait_max).await;
            let permit = permit.map_err(|retry_after| Error::RateLimited { call, retry_after })?;
            let outcome = self.attempt(request, url.clone(), bytes_max, attempt).await;
            let now = DateTime::from(std::time::SystemTime::now());
            let asked = outcome.as_ref().ok().and_then(|answer| {
                self.learn(&permit, answer, now);
                retry::asked_pause(answer, now)
            });
            drop(permit);
            let pause = retry::pause(limits, attempt, asked, rand::random());
            let repeatable = retry::may_repeat(&request.method, &outcome);
            let limited = outcome.as_ref().is_ok_and(|answer| answer.status == 429);
            if limited {
                // Whoever shares the token would be refused as well.
                self.shared.budget.block(pause);
            }
            if !repeatable || attempt >= limits.retries_max {
                return self.judge(call, outcome, bytes_max, pause);
            }
            attempt += 1;
            tracing::warn!(
                provider.operation = call.operation,
                provider.purpose = call.purpose.as_str(),
                provider.attempt = attempt,
                wait_ms = millis(pause),
                cause = describe(&outcome),
                "provider call will be repeated"
            );
            if !limited {
                tokio::time::sleep(pause).await;
            }
        }
    }

    async fn attempt(
        &self,
        request: &Request,
        url: Url,
        bytes_max: usize,
        attempt: u32,
    ) -> Result<Answer, Failure> {
        let span = tracing::info_span!(
            "provider_request",
            provider.operation = request.operation,
            provider.purpose = self.shared.purpose.as_str(),
            provider.attempt = attempt,
            http.request.method = request.method.as_str(),
            http.response.status_code = tracing::field::Empty,
            duration_ms = tracing::field::Empty,
        );
        let begun = std::time::Instant::now();
        let outcome = async {
            let mut builder = self.shared.http.request(request.method.clone(), url);
            if let Some(body) = &request.body {
                builder = builder.header(CONTENT_TYPE, "application/json").body(body.clone());
            }
            if let Some(parent) = self.shared.trace_header.and_then(|current| current())
                && let Ok(parent) = HeaderValue::try_from(parent)
            {
                builder = builder.header("traceparent", parent);
            }
            let total = self.shared.limits.total;
            tokio::time::timeout(total, exchange(builder, bytes_max)).await.unwrap_or(Err(Failure::Deadline))
        }
        .instrument(span.clone())
        .await;
        let elapsed = begun.elapsed();
        span.record("duration_ms", millis(elapsed));
        if let Ok(answer) = &outcome {
            span.record("http.response.status_code", answer.status);
        }
        self.count(request.operation, &outcome, elapsed);
        outcome
    }

    fn count(&self, operation: &'static str, outcome: &Result<Answer, Failure>, elapsed: Duration) {
        let labels = [
            ("operation", operation.to_owned()),
            ("purpose", self.shared.purpose.as_str().to_owned()),
            ("outcome", describe(outcome)),
        ];
        metrics::counter!("provider_requests_total", &labels).increment(1);
        metrics::histogram!("provider_request_duration_seconds", &labels).record(elapsed.as_secs_f64());
    }

    fn learn(&self, permit: &Permit<'_>, answer: &Answer, now: DateTime<Utc>) {
        // A stated pause is about the burst limit, and these two are about the hour.
        if answer.retry_after.is_some() {
            return;
        }
        if let (Some(remaining), Some(reset)) = (answer.rate_remaining, answer.rate_reset) {
            permit.learn(remaining, retry::until_epoch(reset, now).min(self.shared.limits.wait_max));
        }
    }

    fn judge(
        &self,
        call: Call,
        outcome: Result<Answer, Failure>,
        bytes_max: usize,
        retry_after: Duration,
    ) -> Result<Vec<u8>, Error> {
        let answer = outcome.map_err(|failure| match failure {
            Failure::Connect(error) => {
                Error::Unavailable { call, sent: false, cause: Outage::Connect(error) }
            }
            Failure::Broken(error) => Error::Unavailable { call, sent: true, cause: Outage::Broken(error) },
            Failure::Deadline => {
                Error::Unavailable { call, sent: true, cause: Outage::Deadline(self.shared.limits.total) }
            }
            Failure::TooLarge => Error::TooLarge { call, bytes_max },
        })?;
        match answer.status {
            200..=299 => Ok(answer.body),
            401 => Err(Error::Unauthorized { call }),
            403 => Err(Error::Forbidden { call }),
            404 => Err(Error::NotFound { call }),
            429 => Err(Error::RateLimited { call, retry_after }),
            status @ 400..=499 => {
                let Refusal { id, message } = self.refusal(&answer.body);
                Err(match status {
                    409 => Error::Conflict { call, id, message },
                    _ => Error::Refused { call, status, id, message },
                })
            }
            status @ 500.. => Err(Error::Unavailable { call, sent: true, cause: Outage::Status(status) }),
            status => {
                let reason = format!("status {status}; redirects are not followed");
                Err(Error::Malformed { call, reason })
            }
        }
    }

    /// The provider's error, as far as it is one: gateways in between answer in HTML, the tags family in a
    /// shape of its own.
    fn refusal(&self, body: &[u8]) -> Refusal {
        #[derive(Deserialize, Default)]
        struct Wire {
            id: Option<String>,
            message: Option<String>,
            error: Option<String>,
        }
        let wire: Wire = serde_json::from_slice(body).unwrap_or_default();
        // A mischievous peer could send back what it was sent.
        let safe = |raw: String| quote(&raw.replace(self.shared.token.expose_secret(), "[token]"));
        Refusal {
            id: wire.id.map(safe).unwrap_or_default(),
            message: wire.message.or(wire.error).map(safe).unwrap_or_default(),
        }
    }
}

struct Refusal {
    id: String,
    message: String,
}

/// An outcome in a word, for a label: a closed set.
fn describe(outcome: &Result<Answer, Failure>) -> String {
    match outcome {
        Ok(answer) => answer.status.to_string(),
        Err(Failure::Connect(_)) => "connect".to_owned(),
        Err(Failure::Broken(_)) => "broken".to_owned(),
        Err(Failure::Deadline) => "deadline".to_owned(),
        Err(Failure::TooLarge) => "too_large".to_owned(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn check_address(url: &Url) -> Result<(), SettingsError> {
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let usable = matches!(url.scheme(), "http" | "https") && url.has_host() && url.fragment().is_none();
    if plain && usable { Ok(()) } else { Err(SettingsError::Address) }
}

fn check_limits(limits: &Limits) -> Result<(), SettingsError> {
    for (name, zero) in [
        ("connect", limits.connect.is_zero()),
        ("total", limits.total.is_zero()),
        ("body_bytes_max", limits.body_bytes_max == 0),
        ("csv_bytes_max", limits.csv_bytes_max == 0),
        ("pages_max", limits.pages_max == 0),
        ("per_page", limits.per_page == 0),
        ("budget_per_minute", limits.budget_per_minute == 0),
        ("budget_per_hour", limits.budget_per_hour == 0),
        ("backoff", limits.backoff.is_zero()),
        ("wait_max", limits.wait_max.is_zero()),
    ] {
        if zero {
            return Err(SettingsError::Limit(name));
        }
    }
    Ok(())
}

fn http_client(
    base_url: &Url,
    token: &SecretString,
    connect: Duration,
) -> Result<reqwest::Client, SettingsError> {
    let token = token.expose_secret();
    if token.trim().is_empty() {
        return Err(SettingsError::Token);
    }
    let mut authorization =
        HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| SettingsError::Token)?;
    authorization.set_sensitive(true);
    let mut builder = reqwest::Client::builder()
        .user_agent("arcadia-cloud")
        .default_headers(HeaderMap::from_iter([(AUTHORIZATION, authorization)]))
        .redirect(redirect::Policy::none())
        .connect_timeout(connect);
    if base_url.scheme() == "http" {
        // A proxy would be shown the token; over https it only passes on what it cannot read.
        builder = builder.no_proxy();
    }
    builder.build().map_err(SettingsError::Http)
}
