//! What every request passes, whatever it asks for: its id, limits on its head, CORS, headers of every answer,
//! one shape of error, a trace and metrics.

mod cors;
mod head;
mod request_id;

use std::time::Instant;

use axum::{
    Router,
    body::Body,
    response::{IntoResponse, Response},
};
use contracts::{Problem, envelope::TRACEPARENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{Instrument, Span, field, info_span};

pub use cors::Cors;
pub(crate) use head::check_length;
pub use request_id::RequestId;

use crate::{
    gateway::Gateway,
    operation::Role,
    problem::{self, Failure},
    router::{self, Answered},
};

/// The header that carries a request's id, in and out.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The router with what surrounds it.
pub struct Edge {
    router: Router,
    cors: Cors,
    draining: CancellationToken,
}

impl Edge {
    /// Builds the router and its surroundings.
    pub fn new(gateway: &Gateway, cors: Cors) -> Self {
        Self { router: router::router(gateway), cors, draining: gateway.draining.clone() }
    }

    /// Answers one request. There is always an answer.
    pub async fn answer(&self, request: Request<Body>) -> Response {
        let started = Instant::now();
        let id = RequestId::of(request.headers());
        let method = request.method().clone();
        let origin = request.headers().get(header::ORIGIN).cloned();
        let span = info_span!(
            "request",
            request.id = id.as_str(),
            http.method = method.as_str(),
            http.route = field::Empty,
            http.status = field::Empty,
            caller.tenant = field::Empty,
        );
        if let Some(parent) = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok()) {
            telemetry::propagation::set_parent(&span, parent);
        }
        let mut response = self.route(request).instrument(span.clone()).await;
        self.finish(&mut response, &id, origin.as_ref());
        note(&response, &method, &span, started);
        response
    }

    async fn route(&self, request: Request<Body>) -> Response {
        if let Err(failure) = head::check(&request) {
            let mut response = failure.into_response();
            // What follows on this connection was not read, so nothing after it can be told apart from it.
            close(&mut response);
            return response;
        }
        if request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
            && request.headers().contains_key(header::ORIGIN)
        {
            let mut response = StatusCode::NO_CONTENT.into_response();
            cors::preflight(response.headers_mut());
            return response;
        }
        // The router lets a parameter be empty where something follows it; nothing has an empty name.
        if request.uri().path().contains("//") {
            return Failure::from(Problem::not_found()).into_response();
        }
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    fn finish(&self, response: &mut Response, id: &RequestId, origin: Option<&HeaderValue>) {
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            // Whatever is not ours is the framework's own, which explains itself in plain text.
            let failure = response.extensions_mut().remove::<Failure>();
            let failure = failure.unwrap_or_else(|| Failure::of_status(status));
            *response.body_mut() = Body::from(failure.body(id.as_str()));
            let headers = response.headers_mut();
            headers.remove(header::CONTENT_LENGTH);
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Problem::MEDIA_TYPE));
            if let Some((name, value)) = problem::headers_of(status) {
                headers.insert(name, value);
            }
        }
        let public = response.extensions().get::<Answered>().is_some_and(|a| a.0.role == Role::Public);
        let headers = response.headers_mut();
        secure(headers, public);
        self.cors.apply(headers, origin);
        headers.insert(REQUEST_ID.clone(), id.header());
        if self.draining.is_cancelled() {
            close(response);
        }
    }
}

/// Asks for the connection to be closed after this answer.
fn close(response: &mut Response) {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
}

/// What a browser is told not to do with an answer.
fn secure(headers: &mut HeaderMap, public: bool) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-site"),
    );
    headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000"));
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        headers.insert(header::CONTENT_SECURITY_POLICY, nothing);
    }
    let cache = if public { "no-cache" } else { "no-store" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
}

/// The bare head of an answer that the HTTP library gives by itself, made into one of ours.
pub(crate) fn bare_refusal(status: StatusCode) -> Vec<u8> {
    let id = RequestId::random();
    let failure = Failure::of_status(status);
    let body = failure.body(id.as_str());
    let mut headers = HeaderMap::new();
    secure(&mut headers, false);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Problem::MEDIA_TYPE));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(REQUEST_ID.clone(), id.header());
    if let Some((name, value)) = problem::headers_of(status) {
        headers.insert(name, value);
    }
    let mut reply =
        format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or_default())
            .into_bytes();
    for (name, value) in &headers {
        reply.extend_from_slice(name.as_str().as_bytes());
        reply.extend_from_slice(b": ");
        reply.extend_from_slice(value.as_bytes());
        reply.extend_from_slice(b"\r\n");
    }
    reply.extend_from_slice(b"\r\n");
    reply.extend_from_slice(&body);
    reply
}

fn note(response: &Response, method: &Method, span: &Span, started: Instant) {
    let route = response.extensions().get::<Answered>().map_or("unmatched", |answered| answered.0.id);
    let status = response.status();
    span.record("http.route", route);
    span.record("http.status", status.as_u16());
    let seconds = started.elapsed().as_secs_f64();
    metrics::histogram!("http_request_duration_seconds", "route" => route).record(seconds);
    let labels = [
        ("route", route.to_owned()),
        ("method", label(method).to_owned()),
        ("status", status.as_str().to_owned()),
    ];
    metrics::counter!("http_requests_total", &labels).increment(1);
    let _entered = span.enter();
    if status.is_server_error() {
        tracing::warn!(duration_ms = seconds * 1000.0, "a request failed on our side");
    } else {
        tracing::debug!(duration_ms = seconds * 1000.0, "answered");
    }
}

/// A caller may make up methods; a label may not take any number of values.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
