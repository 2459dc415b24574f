//! Callers who are no users: operators with `X-Admin-Token`, services with `X-Internal-Secret`.

use crate::{ApiError, App};
use platform::Secret;
use salvo::{Depot, FlowCtrl, Handler, Request, Response, Writer, async_trait};

/// Lets through who knows `ADMIN_TOKEN`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OperatorGate;

/// Lets through who knows `INTERNAL_API_TOKEN`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServiceGate;

#[async_trait]
impl Handler for OperatorGate {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        pass(req, depot, res, ctrl, "x-admin-token", |app| app.admin_token.as_ref()).await;
    }
}

#[async_trait]
impl Handler for ServiceGate {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        pass(req, depot, res, ctrl, "x-internal-secret", |app| app.internal_token.as_ref()).await;
    }
}

/// An unset secret lets nobody through.
async fn pass(
    req: &mut Request,
    depot: &mut Depot,
    res: &mut Response,
    ctrl: &mut FlowCtrl,
    header: &str,
    secret: impl FnOnce(&App) -> Option<&Secret> + Send,
) {
    let given = req.headers().get(header).and_then(|value| value.to_str().ok());
    let known = match App::of(depot) {
        Ok(app) => given.is_some_and(|given| secret(&app).is_some_and(|secret| secret.matches(given))),
        Err(_) => false,
    };
    if known {
        ctrl.call_next(req, depot, res).await;
    } else {
        ctrl.skip_rest();
        ApiError::unauthorized().write(req, depot, res).await;
    }
}
