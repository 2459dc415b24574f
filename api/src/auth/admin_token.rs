//! Callers who are no users: operators with `X-Admin-Token`, services with `X-Internal-Secret`.

use crate::{ApiError, App};
use platform::Secret;
use salvo::{
    Depot, Extractible, FlowCtrl, Handler, Request, Response, Writer, async_trait,
    extract::Metadata,
    oapi::{Components, EndpointArgRegister, Operation, security::SecurityRequirement},
};
use std::fmt::Debug;

/// The operator, behind its gate. Handlers there take it as an argument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operator;

/// A service, behind its gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service;

/// Lets through who knows `ADMIN_TOKEN`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OperatorGate;

/// Lets through who knows `INTERNAL_API_TOKEN`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServiceGate;

#[async_trait]
impl Handler for OperatorGate {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        pass(req, depot, res, ctrl, ("x-admin-token", Operator), |app| app.admin_token.as_ref()).await;
    }
}

#[async_trait]
impl Handler for ServiceGate {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        pass(req, depot, res, ctrl, ("x-internal-secret", Service), |app| app.internal_token.as_ref()).await;
    }
}

/// An unset secret lets nobody through.
async fn pass(
    req: &mut Request,
    depot: &mut Depot,
    res: &mut Response,
    ctrl: &mut FlowCtrl,
    (header, who): (&str, impl Send + Sync + 'static),
    secret: impl FnOnce(&App) -> Option<&Secret> + Send,
) {
    let given = req.headers().get(header).and_then(|value| value.to_str().ok());
    let known = match App::of(depot) {
        Ok(app) => given.is_some_and(|given| secret(&app).is_some_and(|secret| secret.matches(given))),
        Err(_) => false,
    };
    if known {
        depot.insert_typed(who);
        ctrl.call_next(req, depot, res).await;
    } else {
        ctrl.skip_rest();
        ApiError::unauthorized().write(req, depot, res).await;
    }
}

macro_rules! behind_gate {
    ($who:ty, $scheme:literal) => {
        impl<'ex> Extractible<'ex> for $who {
            fn metadata() -> &'static Metadata {
                static METADATA: Metadata = Metadata::new("");
                &METADATA
            }

            async fn extract(_req: &'ex mut Request, depot: &'ex mut Depot) -> Result<Self, impl Writer + Send + Debug + 'static> {
                depot.get_typed::<Self>().copied().map_err(|_| ApiError::unauthorized())
            }
        }

        impl EndpointArgRegister for $who {
            fn register(_components: &mut Components, operation: &mut Operation, _arg: &str) {
                operation.securities.get_or_insert_default().push(SecurityRequirement::new($scheme, Vec::<String>::new()));
            }
        }
    };
}

behind_gate!(Operator, "AdminToken");
behind_gate!(Service, "InternalSecret");
