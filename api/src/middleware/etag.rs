//! ETags for what is polled: a client that has the body already is answered 304 without it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, async_trait,
    http::{
        HeaderValue, Method, ResBody, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY},
    },
};
use xxhash_rust::xxh3::xxh3_128;

/// Compares `If-None-Match` with a hash of the body.
pub(super) struct Etag;

#[async_trait]
impl Handler for Etag {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        ctrl.call_next(req, depot, res).await;
        if *req.method() != Method::GET || res.status_code != Some(StatusCode::OK) {
            return;
        }
        let ResBody::Once(body) = &res.body else { return };
        // Weak: the body may still be compressed on its way.
        let tag = format!("W/\"{}\"", URL_SAFE_NO_PAD.encode(xxh3_128(body).to_be_bytes()));
        let known = req.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).is_some_and(|tags| {
            tags.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == tag.trim_start_matches("W/"))
        });
        let headers = res.headers_mut();
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(ETAG, tag);
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.append(VARY, HeaderValue::from_static("authorization"));
        if known {
            headers.remove(CONTENT_TYPE);
            res.status_code(StatusCode::NOT_MODIFIED);
            res.body = ResBody::None;
        }
    }
}
