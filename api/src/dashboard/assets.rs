//! The pages' style and script.

use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Router, async_trait,
    http::{
        HeaderValue, ResBody, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
};

#[derive(Clone, Copy)]
struct Asset {
    content_type: &'static str,
    body: &'static str,
}

pub(super) fn routes() -> Router {
    let style = Asset { content_type: "text/css; charset=utf-8", body: include_str!("../../assets/ops.css") };
    let script = Asset { content_type: "text/javascript; charset=utf-8", body: include_str!("../../assets/ops.js") };
    Router::new().push(Router::with_path("ops.css").get(style)).push(Router::with_path("ops.js").get(script))
}

#[async_trait]
impl Handler for Asset {
    async fn handle(&self, _req: &mut Request, _depot: &mut Depot, res: &mut Response, _ctrl: &mut FlowCtrl) {
        res.status_code(StatusCode::OK);
        let headers = res.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=300"));
        res.body = ResBody::Once(self.body.into());
    }
}
