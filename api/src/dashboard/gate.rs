//! Who may look at the operators' pages and API, and who may act: `ADMIN_TOKEN`, or users with the platform-operator flag.

use super::{form, session};
use crate::{
    ApiError, App,
    auth::{bearer, caller_of, has_admin_token, pass},
};
use platform::Secret;
use salvo::{
    Depot, Extractible, FlowCtrl, Handler, Request, Response, Writer, async_trait,
    extract::Metadata,
    http::{
        HeaderValue, Method, StatusCode,
        header::{HOST, LOCATION, ORIGIN},
    },
    oapi::{Components, EndpointArgRegister, Operation, security::SecurityRequirement},
};
use std::fmt::Debug;
use store::{operator::sessions, operator_jobs::Actor};

/// Somebody who may look.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    /// For the audit log.
    pub name: String,
    may_act: bool,
    /// What forms of the session carry. Empty for the API, which no page can call by itself.
    csrf: String,
}

impl Viewer {
    pub(super) fn may_act(&self) -> bool {
        self.may_act
    }

    pub(super) fn csrf(&self) -> &str {
        &self.csrf
    }

    pub(super) fn must_act(&self) -> Result<(), ApiError> {
        if self.may_act { Ok(()) } else { Err(ApiError::forbidden("You may look only: ask an operator to do this")) }
    }

    /// Is this what the session's own forms carry?
    pub(super) fn sent(&self, csrf: &str) -> bool {
        !self.csrf.is_empty() && Secret::new(self.csrf.as_str()).matches(csrf)
    }

    /// For the audit log.
    pub(super) fn actor(&self, reason: Option<String>) -> Actor {
        Actor { name: self.name.clone(), reason }
    }
}

/// In front of pages: who is not signed in is led there.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageGate;

#[async_trait]
impl Handler for PageGate {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        let opened = open(req, depot).await;
        match opened {
            Ok(Some(viewer)) => {
                depot.insert_typed(viewer);
                ctrl.call_next(req, depot, res).await;
            }
            Ok(None) if *req.method() == Method::GET && !req.uri().path().ends_with("/live") => {
                ctrl.skip_rest();
                let here = req.uri().path_and_query().map_or("/ops", |here| here.as_str());
                res.status_code(StatusCode::SEE_OTHER);
                if let Ok(location) = HeaderValue::from_str(&format!("/ops/sign-in?next={}", super::format::encoded(here))) {
                    res.headers_mut().insert(LOCATION, location);
                }
            }
            Ok(None) => {
                ctrl.skip_rest();
                ApiError::unauthorized().write(req, depot, res).await;
            }
            Err(error) => {
                ctrl.skip_rest();
                error.write(req, depot, res).await;
            }
        }
    }
}

async fn open(req: &Request, depot: &Depot) -> Result<Option<Viewer>, ApiError> {
    let app = App::of(depot)?;
    if *req.method() != Method::GET {
        must_be_ours(req, &app)?;
    }
    let Some(token) = form::cookie(req.headers(), session::COOKIE) else { return Ok(None) };
    let active = !req.uri().path().ends_with("/live");
    let found = session::find(&app, token, active).await?;
    Ok(found.map(|found| Viewer { name: found.actor, may_act: found.may_act, csrf: session::csrf(token) }))
}

/// Refuses forms of other sites.
pub(super) fn must_be_ours(req: &Request, app: &App) -> Result<(), ApiError> {
    if is_same_origin(req, &app.public_url) { Ok(()) } else { Err(ApiError::forbidden("This form comes from another site")) }
}

/// Browsers name the page's origin with every form; a client that names none is not a browser. A proxy may have changed the host that was asked: then the origin
/// must be `PUBLIC_URL`'s.
fn is_same_origin(req: &Request, public_url: &str) -> bool {
    let text = |value: Option<&HeaderValue>| value.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let Some(origin) = text(req.headers().get(ORIGIN)) else { return true };
    let host = text(req.headers().get(HOST)).or_else(|| req.uri().authority().map(ToString::to_string));
    origin.eq_ignore_ascii_case(public_url)
        || host.is_some_and(|host| origin.split_once("://").is_some_and(|(_, named)| named.eq_ignore_ascii_case(&host)))
}

/// In front of the API.
#[derive(Clone, Copy, Debug)]
pub(super) struct ApiGate;

#[async_trait]
impl Handler for ApiGate {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        let viewer = identify(req, depot).await;
        pass(req, depot, res, ctrl, viewer).await;
    }
}

async fn identify(req: &Request, depot: &Depot) -> Result<Viewer, ApiError> {
    let app = App::of(depot)?;
    if has_admin_token(&app, req).await? {
        return Ok(Viewer { name: "operator".to_owned(), may_act: true, csrf: String::new() });
    }
    let token = bearer(req).ok_or_else(ApiError::unauthorized)?;
    let caller = caller_of(&app, token).await?.ok_or_else(ApiError::unauthorized)?;
    let role = sessions::platform_role(&mut *app.operator_conn().await?, caller.user).await?;
    let may_act = role.ok_or_else(|| ApiError::forbidden("Only the platform's operators may do this"))?;
    Ok(Viewer { name: caller.actor.to_string(), may_act, csrf: String::new() })
}

impl<'ex> Extractible<'ex> for Viewer {
    fn metadata() -> &'static Metadata {
        static METADATA: Metadata = Metadata::new("");
        &METADATA
    }

    async fn extract(_req: &'ex mut Request, depot: &'ex mut Depot) -> Result<Self, impl Writer + Send + Debug + 'static> {
        depot.get_typed::<Self>().cloned().map_err(|_| ApiError::unauthorized())
    }
}

impl EndpointArgRegister for Viewer {
    fn register(_components: &mut Components, operation: &mut Operation, _arg: &str) {
        for scheme in ["AdminToken", "BearerAuth"] {
            operation.securities.get_or_insert_default().push(SecurityRequirement::new(scheme, Vec::<String>::new()));
        }
    }
}
