//! What a process says about itself: logs, traces, metrics, health, and when it was told to stop.
//!
//! Not for deciding anything: no service's behaviour depends on what is here, besides the shutdown token.

pub mod operations;
pub mod propagation;

mod logs;
mod panics;
mod shutdown;

use std::{io::IsTerminal, sync::OnceLock, time::Duration};

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    runtime::Tokio,
    trace::{SdkTracerProvider, span_processor_with_async_runtime::BatchSpanProcessor},
};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::filter_fn,
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};

pub use shutdown::shutdown_signal;

/// How long [`Telemetry::shutdown`] waits for a collector that does not answer.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Buckets of histograms, in seconds: from a query answered from cache to a provider call given up on.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// The metrics recorder is the process's own; so is the handle that renders it.
static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// Telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// `RUST_LOG` is no list of directives.
    #[error("read the log filter")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// The exporter of traces refused its endpoint.
    #[error("build the exporter of traces")]
    Exporter(#[source] ExporterBuildError),
    /// Another recorder of metrics is installed, or its settings are refused.
    #[error("install the recorder of metrics")]
    Metrics(#[source] BuildError),
    /// Another subscriber is installed.
    #[error("install the log")]
    Subscriber(#[source] TryInitError),
}

/// Keeps the exporter of traces; to be shut down when the process ends.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Sends what is still buffered, and gives up on a collector that does not answer.
    pub async fn shutdown(self) {
        let Some(traces) = self.traces else { return };
        // The processor is waited for with a blocking call, which would stall a worker of the runtime.
        let flushed = tokio::task::spawn_blocking(move || traces.shutdown_with_timeout(FLUSH_TIMEOUT));
        match tokio::time::timeout(FLUSH_TIMEOUT, flushed).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the last traces were not sent"),
            Ok(Err(error)) => tracing::warn!(%error, "the last traces were not sent"),
            Err(_) => tracing::warn!("the last traces were not sent in time"),
        }
    }
}

/// Installs log, traces, metrics and panic hook for this process; call once, inside the tokio runtime.
///
/// `filter` is what `RUST_LOG` says (`info` where it says nothing). The log goes to standard error: for
/// people on a terminal or with `LOG_FORMAT=text`, else one JSON object a line. Traces go to the collector at
/// `otlp_endpoint` (the base URL, as in `OTEL_EXPORTER_OTLP_ENDPOINT`); without one no span is recorded, and
/// trace context is only passed on.
pub fn init(
    service: &'static str,
    filter: &str,
    otlp_endpoint: Option<&str>,
) -> Result<Telemetry, InitError> {
    let filter = EnvFilter::builder().parse(filter).map_err(InitError::Filter)?;
    let traces = otlp_endpoint.map(|endpoint| tracer(service, endpoint)).transpose()?;

    let metrics = PrometheusBuilder::new()
        .add_global_label("service", service)
        .set_buckets(&SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(InitError::Metrics)?;
    METRICS.get_or_init(|| metrics);

    // Spans are kept whatever the log shows of them: they carry the trace from one message to the next.
    let spans = filter_fn(|metadata| {
        metadata.is_span() && *metadata.level() <= LevelFilter::INFO && !exports_traces(metadata.target())
    })
    .with_max_level_hint(LevelFilter::INFO);
    let exporter =
        traces.as_ref().map(|traces| tracing_opentelemetry::layer().with_tracer(traces.tracer(service)));
    let spans: Box<dyn Layer<Registry> + Send + Sync> = match exporter {
        Some(layer) => layer.with_filter(spans).boxed(),
        None => propagation::KeepSpans.with_filter(spans).boxed(),
    };
    let people = std::io::stderr().is_terminal()
        || std::env::var_os("LOG_FORMAT").is_some_and(|format| format == "text");
    let log = if people { logs::text() } else { logs::json(service) };

    Registry::default()
        .with(spans)
        .with(log.with_filter(filter))
        .try_init()
        .map_err(InitError::Subscriber)?;
    panics::install();
    Ok(Telemetry { traces })
}

/// Whether a span belongs to the client that sends the traces; exporting those would never end.
fn exports_traces(target: &str) -> bool {
    ["opentelemetry", "hyper", "reqwest", "h2"].iter().any(|prefix| target.starts_with(prefix))
}

fn tracer(service: &'static str, endpoint: &str) -> Result<SdkTracerProvider, InitError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()
        .map_err(InitError::Exporter)?;
    let processor = BatchSpanProcessor::builder(exporter, Tokio).build();
    Ok(SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name(service).build())
        .with_span_processor(processor)
        .build())
}
