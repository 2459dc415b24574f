//! Signing in at an OpenID provider.

use crate::{contracts::shared_paths::Session, prelude::*};
use salvo::{
    Depot, Extractible, Request, Response, async_trait,
    extract::Metadata,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, COOKIE, HeaderValue, LOCATION, SET_COOKIE},
    },
    oapi::{self, Components, EndpointArgRegister, EndpointOutRegister, Operation},
};
use std::fmt::Debug;

const COOKIE_NAME: &str = "switchboard_oidc";

/// 302, or the tokens as JSON.
#[derive(Debug)]
pub(super) struct Away {
    location: Option<String>,
    cookie: String,
    session: Option<Ok200<Session>>,
}

/// The cookie of a sign-in that is under way.
#[derive(Debug)]
pub(super) struct FlowCookie(Option<String>);

#[derive(Debug, Deserialize, ToParameters)]
#[salvo(parameters(default_parameter_in = Query))]
pub(super) struct CallbackQuery {
    code: Option<String>,
    state: Option<String>,
    /// Why the provider did not sign the person in.
    error: Option<String>,
}

/// Sign in at the OpenID provider
///
/// Redirects there; it sends the browser back to `/api/auth/oidc/callback`. 404 unless a provider is set up.
#[endpoint]
pub(super) async fn begin_oidc(app: App) -> Result<Away, ApiError> {
    let began = app.begin_oidc().await?;
    Ok(Away { location: Some(began.location), cookie: cookie(&app, &began.cookie, 600), session: None })
}

/// Come back from the OpenID provider
///
/// Redirects to the frontend with the tokens in the address's fragment, or, if no page is set up for that, answers them as signing in does.
#[endpoint]
pub(super) async fn finish_oidc(app: App, flow: FlowCookie, query: Query<CallbackQuery>) -> Result<Away, ApiError> {
    let Query(CallbackQuery { code, state, error }) = query;
    if let Some(error) = error {
        let shown: String = error.chars().filter(char::is_ascii_graphic).take(60).collect();
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "provider_refused", format!("The provider did not sign you in: {shown}")));
    }
    let mut fields = Fields::default();
    let code = fields.need(code, "code", "is required");
    let state = fields.need(state, "state", "is required");
    fields.finish()?;
    let (code, state) = (code.unwrap_or_default(), state.unwrap_or_default());
    let signed_in = app.finish_oidc(flow.0.as_deref().unwrap_or_default(), &state, code).await?;
    let cookie = cookie(&app, "", 0);
    let Some(page) = app.provider()?.success_url() else {
        return Ok(Away { location: None, cookie, session: Some(Ok200::new(&signed_in.into())?) });
    };
    let refresh = signed_in.refresh_token.as_deref().unwrap_or_default();
    // Tokens are of characters that need no escaping.
    let fragment = format!("accessToken={}&refreshToken={refresh}&expiresIn={}", signed_in.access_token, signed_in.expires_in);
    Ok(Away { location: Some(format!("{page}#{fragment}")), cookie, session: None })
}

fn cookie(app: &App, value: &str, seconds: u32) -> String {
    let secure = if app.public_url.starts_with("https://") { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={value}; Path=/api/auth/oidc; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

#[async_trait]
impl Writer for Away {
    async fn write(self, req: &mut Request, depot: &mut Depot, res: &mut Response) {
        match self.session {
            Some(session) => session.write(req, depot, res).await,
            None => {
                res.status_code(StatusCode::FOUND);
            }
        }
        let headers = res.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(cookie) = HeaderValue::from_str(&self.cookie) {
            headers.insert(SET_COOKIE, cookie);
        }
        if let Some(location) = self.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
            headers.insert(LOCATION, location);
        }
    }
}

impl EndpointOutRegister for Away {
    fn register(components: &mut Components, operation: &mut Operation) {
        Ok200::<Session>::register(components, operation);
        operation.responses.insert("302", oapi::Response::new("To the provider, or to the frontend"));
    }
}

impl<'ex> Extractible<'ex> for FlowCookie {
    fn metadata() -> &'static Metadata {
        static METADATA: Metadata = Metadata::new("");
        &METADATA
    }

    async fn extract(req: &'ex mut Request, _depot: &'ex mut Depot) -> Result<Self, impl Writer + Send + Debug + 'static> {
        let cookies = req.headers().get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
        let value = cookies.filter_map(|pair| pair.trim().split_once('=')).find(|(name, _)| *name == COOKIE_NAME);
        Ok::<_, ApiError>(Self(value.map(|(_, value)| value.to_owned())))
    }
}

impl EndpointArgRegister for FlowCookie {
    fn register(_components: &mut Components, _operation: &mut Operation, _arg: &str) {}
}
