//! The metrics recorder, its text for Prometheus, and a listener that serves nothing else.

use crate::{Clock, SystemClock, process};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{LazyLock, OnceLock},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Buckets of `*_seconds`: from a statement on an idle database to a job that takes a minute.
const SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Buckets of every other histogram: sizes of batches.
const COUNTS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0];
/// Samples of histograms pile up until they are counted into their buckets; scrapes may be rare.
const UPKEEP: Duration = Duration::from_secs(5);
/// A scrape that has not sent its request by then is dropped.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
const REQUEST_BYTES: usize = 8 * 1024;
/// What `render` gives: <https://prometheus.io/docs/instrumenting/exposition_formats/>.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

static INSTALLED: OnceLock<MetricsHandle> = OnceLock::new();
static STARTED_AT: LazyLock<f64> = LazyLock::new(|| seconds(SystemClock.now().timestamp_millis()));

/// Renders what was recorded. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MetricsHandle {
    recorder: PrometheusHandle,
}

/// Makes this process record its metrics. A second call gives the same recorder.
pub fn install() -> MetricsHandle {
    INSTALLED.get_or_init(start).clone()
}

/// Serves `GET /metrics` on all addresses, on `port` or a free one, as long as the process runs. Returns where.
pub async fn serve(handle: MetricsHandle, port: Option<u16>) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), port.unwrap_or(0))).await?;
    let address = listener.local_addr()?;
    tokio::spawn(accept(listener, handle));
    Ok(address)
}

impl MetricsHandle {
    /// Everything recorded so far and the process's own numbers, in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = self.recorder.render();
        text.push_str(&process::lines(*STARTED_AT));
        text
    }
}

fn start() -> MetricsHandle {
    LazyLock::force(&STARTED_AT);
    let builder = buckets().unwrap_or_else(|error| {
        tracing::error!(%error, "the buckets of histograms could not be set");
        PrometheusBuilder::new()
    });
    let recorder = builder.build_recorder();
    let handle = MetricsHandle { recorder: recorder.handle() };
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::error!("another metrics recorder is installed in this process: metrics will be empty");
    }
    upkeep(handle.recorder.clone());
    handle
}

fn buckets() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new().set_buckets(COUNTS)?.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
}

/// On a thread of its own, since it must outlive any one runtime (each test has its own).
fn upkeep(recorder: PrometheusHandle) {
    let thread = std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
        loop {
            std::thread::sleep(UPKEEP);
            recorder.run_upkeep();
        }
    });
    if let Err(error) = thread {
        tracing::error!(%error, "no thread for the upkeep of metrics: memory will grow between scrapes");
    }
}

async fn accept(listener: TcpListener, handle: MetricsHandle) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let handle = handle.clone();
                tokio::spawn(async move {
                    // A scraper that goes away is its own affair: it will come again.
                    tokio::time::timeout(REQUEST_LIMIT, answer(stream, &handle)).await.ok();
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the metrics listener could not accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Answers one request and closes. Enough of HTTP/1.1 for a scraper, so that workers need no HTTP server.
async fn answer(mut stream: TcpStream, handle: &MetricsHandle) -> std::io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        if head.len() > REQUEST_BYTES || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let (status, body) = match target(&head) {
        Some(("GET" | "HEAD", "/metrics")) => ("200 OK", handle.render()),
        Some(("GET" | "HEAD", _)) => ("404 Not Found", "only /metrics is served here\n".to_owned()),
        _ => ("405 Method Not Allowed\r\nAllow: GET, HEAD", String::new()),
    };
    let length = body.len();
    let mut response =
        format!("HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    if !head.starts_with(b"HEAD ") {
        response.push_str(&body);
    }
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}

/// Method and path of a request's first line.
fn target(head: &[u8]) -> Option<(&str, &str)> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    Some((method, target.split('?').next()?))
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit a double for 200,000 years")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn request(address: SocketAddr, text: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", address.port())).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn what_was_recorded_is_served_with_its_buckets() {
        let address = serve(install(), None).await.unwrap();
        metrics::counter!("tests_total").increment(2);
        metrics::histogram!("tests_wait_seconds").record(0.0004);
        metrics::histogram!("tests_batch_events").record(70.0);
        let answer = request(address, "GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        for line in [
            "tests_total 2",
            "tests_wait_seconds_bucket{le=\"0.0005\"} 1",
            "tests_wait_seconds_bucket{le=\"60\"} 1",
            "tests_batch_events_bucket{le=\"50\"} 0",
            "tests_batch_events_bucket{le=\"100\"} 1",
        ] {
            assert!(answer.lines().any(|have| have == line), "{line} is not in\n{answer}");
        }
        assert!(answer.contains("process_start_time_seconds 1"), "{answer}");
    }

    #[tokio::test]
    async fn nothing_else_is_served() {
        let address = serve(install(), None).await.unwrap();
        assert!(request(address, "GET / HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 404 "));
        assert!(request(address, "POST /metrics HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 405 "));
        assert!(request(address, "\u{0}\r\n\r\n").await.starts_with("HTTP/1.1 405 "));
        assert!(request(address, "HEAD /metrics HTTP/1.1\r\n\r\n").await.ends_with("\r\n\r\n"));
    }
}
