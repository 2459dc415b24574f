//! A name for each request, in the answer's `X-Request-Id` and in our log when it fails: the client's own, or a new one.

use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, async_trait,
    http::{HeaderValue, header::HeaderName},
};
use uuid::Uuid;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST: usize = 128;

/// The request's name.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub String);

/// Names requests.
pub(super) struct NameRequests;

#[async_trait]
impl Handler for NameRequests {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, _ctrl: &mut FlowCtrl) {
        let given = req.headers().get(&HEADER).and_then(|value| value.to_str().ok());
        let given = given.filter(|id| (1..=LONGEST).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()));
        let id = given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
        if let Ok(value) = HeaderValue::from_str(&id) {
            res.headers_mut().insert(HEADER, value);
        }
        depot.insert_typed(RequestId(id));
    }
}
