//! What operators turn: health and metrics, log, traces.

use std::net::SocketAddr;

use clap::Args;
use tracing_subscriber::EnvFilter;
use url::Url;

use crate::http_url;

/// `OPS_ADDR`, `RUST_LOG`, `OTEL_EXPORTER_OTLP_ENDPOINT`.
#[derive(Debug, Clone, Args)]
pub struct Operations {
    /// Where /livez, /readyz and /metrics are served; port 0 takes a free one and logs it.
    #[arg(
        id = "OPS_ADDR",
        long = "ops-addr",
        env = "OPS_ADDR",
        value_name = "OPS_ADDR",
        default_value = "127.0.0.1:0"
    )]
    pub addr: SocketAddr,

    /// What is logged: a level, or directives such as info,syncer=debug. Lines are JSON, or for people on a
    /// terminal and with LOG_FORMAT=text.
    #[arg(id = "RUST_LOG", long = "rust-log", env = "RUST_LOG", value_name = "RUST_LOG", default_value = "info", value_parser = log_filter)]
    pub log_filter: String,

    /// Where traces are sent by OTLP over HTTP, for example http://127.0.0.1:4318; nowhere when left out.
    #[arg(id = "OTEL_EXPORTER_OTLP_ENDPOINT", long = "otel-exporter-otlp-endpoint", env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "OTEL_EXPORTER_OTLP_ENDPOINT", value_parser = http_url)]
    pub otlp_endpoint: Option<Url>,
}

impl Operations {
    /// The endpoint as text, as an exporter takes it.
    pub fn otlp_endpoint(&self) -> Option<&str> {
        self.otlp_endpoint.as_ref().map(Url::as_str)
    }
}

/// Keeps the text: the filter itself is built where the log is.
fn log_filter(text: &str) -> Result<String, tracing_subscriber::filter::ParseError> {
    if text.is_empty() {
        return Ok("info".to_owned());
    }
    EnvFilter::builder().parse(text).map(|_| text.to_owned())
}
