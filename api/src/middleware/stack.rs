//! The stack's order.

use super::{errors, etag::Etag, request_id::NameRequests};
use crate::App;
use salvo::{
    Router, Service, affix_state,
    catch_panic::CatchPanic,
    catcher::Catcher,
    cors::{AllowOrigin, Cors},
    http::{HeaderName, HeaderValue, Method},
    timeout::Timeout,
};
use salvo_compression::{Compression, CompressionLevel};
use std::time::Duration;

/// How long a request of a contract may take.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// Shorter answers are not worth compressing.
const COMPRESS_FROM: usize = 1024;
/// How long a browser may believe what it was told about CORS, in seconds.
const PREFLIGHT_SECONDS: u64 = 600;

/// Puts the stack of all requests around `service`.
pub(crate) fn around(service: Service, development: bool) -> Service {
    service.hoop(CatchPanic::new()).catcher(Catcher::new(errors::Errors { development }))
}

/// The contracts' routes, within their stack.
pub(crate) fn contracts(app: &App, origins: &[String], mut routes: Vec<Router>) -> Router {
    Router::new()
        .hoop(affix_state::inject(app.clone()))
        .hoop(NameRequests)
        .hoop(cors(origins))
        .hoop(Timeout::new(TIME_LIMIT))
        .hoop(Compression::new().disable_all().enable_gzip(CompressionLevel::Fastest).min_length(COMPRESS_FROM))
        .hoop(Etag)
        .append(&mut routes)
}

/// Tokens travel in a header, never in a cookie, so no origin needs credentials.
pub(crate) fn cors(origins: &[String]) -> salvo::cors::CorsHandler {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin.trim_end_matches('/')).ok()))
    };
    let allowed_headers =
        ["authorization", "content-type", "idempotency-key", "if-none-match", "x-admin-token", "x-request-id", "traceparent"];
    let shown = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after", "etag", "x-request-id"];
    Cors::new()
        .allow_origin(allowed)
        .allow_methods(vec![Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(allowed_headers.map(HeaderName::from_static).to_vec())
        .expose_headers(shown.map(HeaderName::from_static).to_vec())
        .max_age(PREFLIGHT_SECONDS)
        .into_handler()
}
