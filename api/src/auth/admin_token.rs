//! Callers who are no users: operators with `X-Admin-Token`, services with `X-Internal-Secret`.

use crate::{ApiError, App, middleware::budgets, request::ClientAddress};
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
        let operator = operator(req, depot).await;
        pass(req, depot, res, ctrl, operator).await;
    }
}

#[async_trait]
impl Handler for ServiceGate {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        let service = service(req, depot).await;
        pass(req, depot, res, ctrl, service).await;
    }
}

async fn operator(req: &Request, depot: &Depot) -> Result<Operator, ApiError> {
    if has_admin_token(&App::of(depot)?, req).await? { Ok(Operator) } else { Err(ApiError::unauthorized()) }
}

async fn service(req: &Request, depot: &Depot) -> Result<Service, ApiError> {
    let app = App::of(depot)?;
    let known = has_secret(&app, req, ("x-internal-secret", "internal-secret"), app.internal_token.as_ref()).await?;
    if known { Ok(Service) } else { Err(ApiError::unauthorized()) }
}

/// True if the request carries `ADMIN_TOKEN`, false if it carries none. A wrong one is refused.
pub(crate) async fn has_admin_token(app: &App, req: &Request) -> Result<bool, ApiError> {
    has_secret(app, req, ("x-admin-token", "admin-token"), app.admin_token.as_ref()).await
}

/// Nobody knows a secret that is not set. Wrong ones are counted by address; right ones are not, since programs call often.
async fn has_secret(app: &App, req: &Request, (header, whose): (&str, &str), secret: Option<&Secret>) -> Result<bool, ApiError> {
    let Some(given) = req.headers().get(header).and_then(|value| value.to_str().ok()) else { return Ok(false) };
    if secret.is_some_and(|secret| secret.matches(given)) {
        return Ok(true);
    }
    app.limiter.check(&budgets::secret(app, whose, &ClientAddress::of(app, req).0)).await?;
    Err(ApiError::unauthorized())
}

/// Lets `who` in, or answers why not.
pub(crate) async fn pass(
    req: &mut Request,
    depot: &mut Depot,
    res: &mut Response,
    ctrl: &mut FlowCtrl,
    who: Result<impl Send + Sync + 'static, ApiError>,
) {
    match who {
        Ok(who) => {
            depot.insert_typed(who);
            ctrl.call_next(req, depot, res).await;
        }
        Err(error) => {
            ctrl.skip_rest();
            error.write(req, depot, res).await;
        }
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
