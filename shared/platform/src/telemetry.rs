//! Logs, and the export of spans. Without a collector no span is exported or prepared for it.

use crate::config::{Config, LogFormat};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use std::{
    io::IsTerminal,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tracing_subscriber::{EnvFilter, Layer, Registry, layer::SubscriberExt, util::SubscriberInitExt};

/// How long a process that stops waits for its last spans to leave.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Of salvo's and apalis's own lines only warnings, unless `LOG_LEVEL` names one of them: at info they write several for every connection
/// that ends, and for every worker that begins.
const QUIET: &str = "salvo_core=warn,apalis_core=warn";

static EXPORTING: AtomicBool = AtomicBool::new(false);

/// Keeps the export going; dropping it sends what is left, for two seconds at most.
#[derive(Debug)]
#[must_use = "dropping it ends the export of spans"]
pub struct TelemetryGuard {
    provider: Option<SdkTracerProvider>,
}

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("LOG_LEVEL cannot be read ({0}): use error, warn, info, debug or trace, or directives like info,sqlx=debug")]
    LogLevel(#[from] tracing_subscriber::filter::ParseError),
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT cannot be used ({0}): give the collector's address, http://host:4318, or leave it unset")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error("telemetry was already set up in this process")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Sets up logs, and the export of spans if a collector is configured. Once per process.
pub fn init(service: &'static str, config: &Config) -> Result<TelemetryGuard, TelemetryError> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.log_level))?;
    crate::http::install_cryptography();
    let provider = config.otlp_endpoint.as_deref().map(|endpoint| exporter(service, endpoint)).transpose()?;
    let spans = provider.as_ref().map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("switchboard")));
    tracing_subscriber::registry().with(lines(config.log_format)).with(spans).with(filter).try_init()?;
    EXPORTING.store(provider.is_some(), Ordering::Relaxed);
    Ok(TelemetryGuard { provider })
}

/// True when spans are exported. What only serves them (a span per request) is skipped otherwise.
pub fn exporting() -> bool {
    EXPORTING.load(Ordering::Relaxed)
}

fn lines(format: LogFormat) -> Box<dyn Layer<Registry> + Send + Sync> {
    match format {
        LogFormat::Text => tracing_subscriber::fmt::layer().compact().with_ansi(std::io::stdout().is_terminal()).boxed(),
        LogFormat::Json => tracing_subscriber::fmt::layer().json().flatten_event(true).boxed(),
    }
}

fn exporter(service: &'static str, endpoint: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{endpoint}/v1/traces"))
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    let resource = Resource::builder().with_service_name(service).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take() {
            EXPORTING.store(false, Ordering::Relaxed);
            if let Err(error) = provider.shutdown_with_timeout(FLUSH_LIMIT) {
                tracing::warn!(%error, "the last spans were not exported");
            }
        }
    }
}
