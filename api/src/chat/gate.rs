//! The gate in front of chats: a user's token, or a widget's.

use super::WidgetClaims;
use crate::{
    ApiError, App,
    auth::{Caller, bearer, caller_of},
    middleware::{budgets, rate_limit::Budget},
    request::{ClientAddress, TenantSegment, describe_tenant},
};
use domain::{ConversationId, TenantId};
use salvo::{
    Depot, Extractible, FlowCtrl, Handler, Request, Response, Writer, async_trait,
    extract::Metadata,
    http::{
        HeaderValue, Method,
        header::{ORIGIN, WWW_AUTHENTICATE},
    },
    oapi::{Components, EndpointArgRegister, Operation, security::SecurityRequirement},
};
use std::fmt::Debug;
use store::widgets;

/// The header that carries a widget's token, where `Authorization` cannot.
const WIDGET_TOKEN: &str = "x-widget-token";
/// What a visitor may say in a minute, and all visitors from one address: many people may share one.
const PER_SESSION: u32 = 20;
const PER_ADDRESS: u32 = 300;

/// Lets through whoever may chat in the tenant that the path names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChatGate {
    /// Also people who are signed in, not visitors only.
    pub people: bool,
}

/// Who chats.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    pub tenant: TenantId,
    /// The only session that they may chat in. `None`: somebody who is signed in, who may in any.
    pub session: Option<ConversationId>,
}

/// A visitor with a widget's token.
#[derive(Clone, Debug)]
pub(crate) struct WidgetOnly {
    pub tenant: TenantId,
    pub session: ConversationId,
}

#[async_trait]
impl Handler for ChatGate {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        match self.open(req, depot, res).await {
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

impl ChatGate {
    async fn open(self, req: &mut Request, depot: &mut Depot, res: &mut Response) -> Result<(), ApiError> {
        let app = App::of(depot)?;
        let token = token_of(req).unwrap_or_default();
        if let Some(claims) = WidgetClaims::read(&app.tokens, &token, app.clock.now()) {
            let visitor = Self::visitor(&app, req, &claims).await?;
            let ClientAddress(address) = ClientAddress::of(&app, req);
            // Reading costs nobody a model.
            if *req.method() == Method::POST {
                app.limiter.check(&Budget::per_minute(format!("widget:address:{address}"), PER_ADDRESS)).await?;
                app.limiter.spend(&Budget::per_minute(format!("widget:session:{}", claims.session_id), PER_SESSION), res).await?;
            }
            depot.insert_typed(visitor);
            return Ok(());
        }
        let caller = if self.people { caller_of(&app, &token).await? } else { None };
        let Some(caller) = caller else {
            res.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return Err(ApiError::unauthorized());
        };
        let visitor = Self::person(req, &caller)?;
        let budget = budgets::platform(&app, &caller);
        depot.insert_typed(caller);
        depot.insert_typed(visitor);
        app.limiter.spend(&budget, res).await
    }

    fn person(req: &Request, caller: &Caller) -> Result<Visitor, ApiError> {
        if TenantSegment::of(req).names(caller.tenant, caller.tenant_public_id) {
            Ok(Visitor { tenant: caller.tenant, session: None })
        } else {
            Err(ApiError::not_found("Tenant"))
        }
    }

    /// A token is good where it was made for, and while the widget is on.
    async fn visitor(app: &App, req: &Request, claims: &WidgetClaims) -> Result<Visitor, ApiError> {
        let mut tx = app.tenants.begin(claims.tid).await?;
        let found = widgets::get(&mut tx, claims.tid).await?.ok_or_else(|| ApiError::not_found("Tenant"))?;
        if !TenantSegment::of(req).names(claims.tid, found.tenant_public_id) {
            return Err(ApiError::not_found("Tenant"));
        }
        let widget = found.widget.filter(|widget| widget.enabled).ok_or_else(|| ApiError::forbidden("This chat is switched off"))?;
        check_origin(req, &widget.allowed_origins)?;
        Ok(Visitor { tenant: claims.tid, session: Some(ConversationId(claims.session_id)) })
    }
}

/// Browsers say which page asks; a page on which the widget may not be is refused.
pub(crate) fn check_origin(req: &Request, allowed: &[String]) -> Result<(), ApiError> {
    let Some(origin) = req.headers().get(ORIGIN).and_then(|origin| origin.to_str().ok()) else { return Ok(()) };
    if allowed.is_empty() || allowed.iter().any(|good| good.eq_ignore_ascii_case(origin)) {
        Ok(())
    } else {
        Err(ApiError::forbidden(format!("The chat may not be used on {origin}: its owner has not listed this origin")))
    }
}

/// The token of a request, whichever header it is in.
pub(crate) fn token_of(req: &Request) -> Option<String> {
    let own = req.headers().get(WIDGET_TOKEN).and_then(|value| value.to_str().ok()).map(str::trim);
    own.or_else(|| bearer(req)).map(str::to_owned)
}

impl<'ex> Extractible<'ex> for Visitor {
    fn metadata() -> &'static Metadata {
        static METADATA: Metadata = Metadata::new("");
        &METADATA
    }

    async fn extract(_req: &'ex mut Request, depot: &'ex mut Depot) -> Result<Self, impl Writer + Send + Debug + 'static> {
        depot.get_typed::<Self>().cloned().map_err(|_| ApiError::unauthorized())
    }
}

impl<'ex> Extractible<'ex> for WidgetOnly {
    fn metadata() -> &'static Metadata {
        static METADATA: Metadata = Metadata::new("");
        &METADATA
    }

    async fn extract(_req: &'ex mut Request, depot: &'ex mut Depot) -> Result<Self, impl Writer + Send + Debug + 'static> {
        match depot.get_typed::<Visitor>() {
            Ok(Visitor { tenant, session: Some(session) }) => Ok(Self { tenant: *tenant, session: *session }),
            _ => Err(ApiError::unauthorized()),
        }
    }
}

fn describe(operation: &mut Operation, schemes: &[&str]) {
    let securities = operation.securities.get_or_insert_default();
    for scheme in schemes {
        securities.push(SecurityRequirement::new(*scheme, Vec::<String>::new()));
    }
    describe_tenant(operation);
}

impl EndpointArgRegister for Visitor {
    fn register(_components: &mut Components, operation: &mut Operation, _arg: &str) {
        describe(operation, &["BearerAuth", "WidgetToken"]);
    }
}

impl EndpointArgRegister for WidgetOnly {
    fn register(_components: &mut Components, operation: &mut Operation, _arg: &str) {
        describe(operation, &["WidgetToken"]);
    }
}
