//! Gives every failed response its body, in the dialect of the contract that owns the path.

use super::request_id::RequestId;
use crate::{ApiError, contracts, dashboard};
use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, async_trait,
    http::{ResBody, StatusCode},
    writing::Json,
};

pub(super) struct Errors {
    pub development: bool,
}

#[async_trait]
impl Handler for Errors {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, _ctrl: &mut FlowCtrl) {
        let status = res.status_code.unwrap_or(StatusCode::NOT_FOUND);
        let error = depot.remove_typed::<ApiError>().unwrap_or_else(|_| ApiError::from_status(status));
        if error.status.is_server_error()
            && let Ok(RequestId(id)) = depot.get_typed::<RequestId>()
        {
            let (status, code) = (error.status.as_u16(), error.code);
            tracing::warn!(request = id, method = %req.method(), path = req.uri().path(), status, code, "answered with an error");
        }
        // The operators' pages are read by people.
        if req.uri().path() == "/ops" || req.uri().path().starts_with("/ops/") {
            dashboard::error_page(
                &ApiError { status: if error.is_invalid() { StatusCode::BAD_REQUEST } else { error.status }, ..error },
                res,
            );
            return;
        }
        let (status, body) = contracts::render(&error, req, depot, self.development);
        res.body = ResBody::None;
        res.render(Json(body));
        res.status_code(status);
    }
}
