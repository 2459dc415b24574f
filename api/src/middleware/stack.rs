//! The stack's order.

use super::{errors, etag::Etag, request_id::NameRequests};
use crate::App;
use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Router, Service, affix_state, async_trait,
    catch_panic::CatchPanic,
    catcher::Catcher,
    cors::{AllowOrigin, Cors, CorsHandler},
    http::{
        HeaderName, HeaderValue, Method,
        header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN},
    },
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

/// Puts the stack of all requests around `service`. Preflights belong to no route, so browsers' requests are answered here.
pub(crate) fn around(service: Service, development: bool, origins: &[String]) -> Service {
    service.hoop(CatchPanic::new()).hoop(FromBrowsers(cors(origins))).catcher(Catcher::new(errors::Errors { development }))
}

/// CORS for requests that name their origin. Others, webhooks for one, are none of its business.
struct FromBrowsers(CorsHandler);

#[async_trait]
impl Handler for FromBrowsers {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        let is_preflight = *req.method() == Method::OPTIONS && req.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if req.headers().contains_key(ORIGIN) && (is_preflight || *req.method() != Method::OPTIONS) {
            self.0.handle(req, depot, res, ctrl).await;
            if is_preflight {
                ctrl.skip_rest();
            }
        } else {
            ctrl.call_next(req, depot, res).await;
        }
    }
}

/// The contracts' routes, within their stack.
pub(crate) fn contracts(app: &App, mut routes: Vec<Router>) -> Router {
    Router::new()
        .hoop(affix_state::inject(app.clone()))
        .hoop(NameRequests)
        .hoop(Timeout::new(TIME_LIMIT))
        .hoop(Compression::new().disable_all().enable_gzip(CompressionLevel::Fastest).min_length(COMPRESS_FROM))
        .hoop(Etag)
        .append(&mut routes)
}

/// Where websites of others ask: which of them may, each tenant's widget says.
const FOR_WEBSITES: &str = "/api/public/widgets/";

/// Tokens travel in a header, never in a cookie, so no origin needs credentials.
fn cors(origins: &[String]) -> CorsHandler {
    let any = origins.iter().any(|origin| origin == "*");
    let listed: Vec<HeaderValue> = origins.iter().filter_map(|origin| HeaderValue::from_str(origin.trim_end_matches('/')).ok()).collect();
    let allowed = AllowOrigin::dynamic(move |origin, req, _| {
        let origin = origin?;
        (any || listed.contains(origin) || req.uri().path().starts_with(FOR_WEBSITES)).then(|| origin.clone())
    });
    let allowed_headers = [
        "authorization",
        "content-type",
        "idempotency-key",
        "if-none-match",
        "x-admin-token",
        "x-widget-token",
        "x-request-id",
        "traceparent",
    ];
    let shown = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after", "etag", "x-request-id"];
    Cors::new()
        .allow_origin(allowed)
        .allow_methods(vec![Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(allowed_headers.map(HeaderName::from_static).to_vec())
        .expose_headers(shown.map(HeaderName::from_static).to_vec())
        .max_age(PREFLIGHT_SECONDS)
        .into_handler()
}
