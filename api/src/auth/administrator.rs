//! Who administers tenants: the platform's operator, or an owner or admin of one.

use super::{gate::authenticate, has_admin_token};
use crate::{ApiError, App, middleware::budgets};
use domain::TenantId;
use salvo::{
    Depot, Extractible, FlowCtrl, Handler, Request, Response, Writer, async_trait,
    extract::Metadata,
    oapi::{Components, EndpointArgRegister, Operation, security::SecurityRequirement},
};
use std::{fmt::Debug, sync::Arc};
use store::audit::Act;

/// Lets through who knows `ADMIN_TOKEN`, and owners and admins who are signed in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdministratorGate;

/// Whoever came through.
#[derive(Clone, Debug)]
pub(crate) struct Administrator {
    /// `None`: the operator, who administers all.
    pub tenant: Option<TenantId>,
    actor: Arc<str>,
}

impl Administrator {
    pub(crate) fn act(&self, act: &'static str, subject: impl std::fmt::Display) -> Act<'_> {
        Act { actor: &self.actor, act, subject: Some(subject.to_string()), detail: None }
    }

    /// May they see and change this tenant?
    pub(crate) fn administers(&self, tenant: TenantId) -> bool {
        self.tenant.is_none_or(|own| own == tenant)
    }
}

#[async_trait]
impl Handler for AdministratorGate {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        match open(req, depot, res).await {
            Ok(()) => {
                ctrl.call_next(req, depot, res).await;
            }
            Err(error) => {
                ctrl.skip_rest();
                error.write(req, depot, res).await;
            }
        }
    }
}

async fn open(req: &Request, depot: &mut Depot, res: &mut Response) -> Result<(), ApiError> {
    let app = App::of(depot)?;
    if has_admin_token(&app, req).await? {
        depot.insert_typed(Administrator { tenant: None, actor: Arc::from("operator") });
        return Ok(());
    }
    let caller = authenticate(&app, req).await?.ok_or_else(ApiError::unauthorized)?;
    let budget = budgets::platform(&app, &caller);
    app.limiter.spend(&budget, res).await?;
    if !caller.role.is_admin() {
        return Err(ApiError::forbidden("Only an owner or admin may do this"));
    }
    depot.insert_typed(Administrator { tenant: Some(caller.tenant), actor: caller.actor.clone() });
    depot.insert_typed(caller);
    Ok(())
}

impl<'ex> Extractible<'ex> for Administrator {
    fn metadata() -> &'static Metadata {
        static METADATA: Metadata = Metadata::new("");
        &METADATA
    }

    async fn extract(_req: &'ex mut Request, depot: &'ex mut Depot) -> Result<Self, impl Writer + Send + Debug + 'static> {
        depot.get_typed::<Self>().cloned().map_err(|_| ApiError::unauthorized())
    }
}

impl EndpointArgRegister for Administrator {
    fn register(_components: &mut Components, operation: &mut Operation, _arg: &str) {
        for scheme in ["AdminToken", "BearerAuth"] {
            operation.securities.get_or_insert_default().push(SecurityRequirement::new(scheme, Vec::<String>::new()));
        }
    }
}
