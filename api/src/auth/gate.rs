//! The gate in front of routes that need a signed-in user: authenticates, then limits how often they may call.

use super::Caller;
use crate::{ApiError, App, middleware::rate_limit::Budget};
use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Writer, async_trait,
    http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE},
};
use std::sync::Arc;

/// Lets users with a live session through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    /// Which limit holds behind it.
    pub budget: fn(&App, &Caller) -> Budget,
}

#[async_trait]
impl Handler for Gate {
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

impl Gate {
    async fn open(self, req: &Request, depot: &mut Depot, res: &mut Response) -> Result<(), ApiError> {
        let app = App::of(depot)?;
        let Some(caller) = authenticate(&app, req).await? else {
            res.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return Err(ApiError::unauthorized());
        };
        let budget = (self.budget)(&app, &caller);
        depot.insert_typed(caller);
        app.limiter.spend(&budget, res).await
    }
}

/// The user whose token the request carries.
pub(super) async fn authenticate(app: &App, req: &Request) -> Result<Option<Caller>, ApiError> {
    match bearer(req) {
        Some(token) => caller_of(app, token).await,
        None => Ok(None),
    }
}

/// The token of `Authorization: Bearer`.
pub(crate) fn bearer(req: &Request) -> Option<&str> {
    let (scheme, token) = req.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The user whose access token it is, if it is good and its session is live.
pub(crate) async fn caller_of(app: &App, token: &str) -> Result<Option<Caller>, ApiError> {
    let Some(claims) = app.tokens.verify(token, app.clock.now()) else { return Ok(None) };
    let session = app.sessions.get(claims.tid, claims.sid).await?.filter(|session| session.user == claims.sub);
    Ok(session.map(|session| Caller {
        tenant: session.tenant,
        tenant_public_id: claims.tenant_id,
        user: session.user,
        session: session.session,
        role: session.role,
        contract: Arc::from(session.contract),
        actor: Arc::from(format!("user:{}", session.user)),
    }))
}
