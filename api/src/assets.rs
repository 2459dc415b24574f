//! What browsers load from here: the chat widget, and a page to try it on.

use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Router, async_trait,
    http::{
        HeaderName, HeaderValue, ResBody, StatusCode,
        header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
};

/// A file that is part of the program.
#[derive(Clone, Copy)]
struct Asset {
    content_type: &'static str,
    body: &'static str,
}

const WIDGET: Asset = Asset { content_type: "text/javascript; charset=utf-8", body: include_str!("../assets/widget.js") };
const DEMO: Asset = Asset { content_type: "text/html; charset=utf-8", body: include_str!("../assets/widget-demo.html") };

/// `/widget.js`, and `/widget/demo/{tenant_id}`.
pub(crate) fn routes() -> Router {
    Router::new()
        .push(Router::with_path("widget.js").get(WIDGET).head(WIDGET))
        .push(Router::with_path("widget/demo/{tenant_id}").get(DEMO).head(DEMO))
}

#[async_trait]
impl Handler for Asset {
    async fn handle(&self, _req: &mut Request, _depot: &mut Depot, res: &mut Response, _ctrl: &mut FlowCtrl) {
        let headers = res.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // A new version is on every page within minutes.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        // Pages of other origins may embed it.
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin"));
        res.status_code(StatusCode::OK);
        res.body = ResBody::Once(self.body.into());
    }
}
