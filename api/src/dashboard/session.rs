//! Signing in to the pages: with `ADMIN_TOKEN`, or as a user who is an operator of the platform. The session is a random cookie, known here by its hash.

use super::{form, gate, layout, layout::Html};
use crate::{ApiError, App, middleware::budgets, request::ClientAddress};
use aws_lc_rs::digest;
use maud::{Markup, html};
use platform::Secret;
use rand::{TryRngCore, rngs::OsRng};
use salvo::{
    Request, Response, handler,
    http::{HeaderValue, StatusCode, header::SET_COOKIE},
};
use serde_json::json;
use std::time::Duration;
use store::{
    StoreError,
    operator::sessions::{self, OperatorSession},
    operator_jobs::Actor,
    sign_in::{self as people, Login},
    users::User,
};
use tokio::sync::Semaphore;

pub(super) const COOKIE: &str = "switchboard_ops";
/// A session ends when nobody used it for so long, and in any case after so long.
const IDLE: Duration = Duration::from_mins(30);
const LASTS: Duration = Duration::from_hours(12);
/// Attempts that are looked at at once in this process: hashing takes a core each.
static ATTEMPTS: Semaphore = Semaphore::const_new(8);
/// A wrong one waits so long for its answer, in nobody's way.
const WRONG_TAKES: Duration = Duration::from_millis(700);

/// What the database knows a cookie by. Another `ADMIN_TOKEN` ends all sessions: whoever knew the old one is out.
fn hash(app: &App, token: &str) -> Vec<u8> {
    let admin_token = app.admin_token.as_ref().map_or("", Secret::expose);
    digest::digest(&digest::SHA256, format!("{admin_token}\0{token}").as_bytes()).as_ref().to_vec()
}

/// What forms of a session carry: whoever has it knows the cookie, and the cookie cannot be found from it.
pub(super) fn csrf(token: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, format!("form of {token}").as_bytes()))
}

/// The session of a cookie. `active`: this is a use of it.
pub(super) async fn find(app: &App, token: &str, active: bool) -> Result<Option<OperatorSession>, ApiError> {
    Ok(sessions::find(&app.operator, &hash(app, token), IDLE, active).await?)
}

/// The form.
#[handler]
pub(super) async fn sign_in_form(req: &mut Request) -> Html {
    sign_in_page(&next(req.query::<String>("next")), None, StatusCode::OK)
}

/// Only our own pages.
fn next(given: Option<String>) -> String {
    given
        .filter(|next| (next == "/ops" || next.starts_with("/ops/") || next.starts_with("/ops?")) && !next.contains(['\r', '\n', '\\']))
        .unwrap_or_else(|| "/ops".to_owned())
}

fn sign_in_page(next: &str, problem: Option<&str>, status: StatusCode) -> Html {
    let body = html! {
        main class="narrow" {
            h1 { "Switchboard operations" }
            @if let Some(problem) = problem { p class="bad" role="alert" { (problem) } }
            form method="post" action="/ops/sign-in" {
                input type="hidden" name="next" value=(next);
                label { "E-mail" input name="name" type="text" autocomplete="username" aria-describedby="name-help"; }
                p id="name-help" class="dim" { "Leave it empty to sign in with the admin token." }
                label { "Password, or admin token" input name="secret" type="password" autocomplete="current-password" required autofocus; }
                button type="submit" { "Sign in" }
            }
        }
    };
    layout::bare("Sign in", &body, status)
}

/// Signs in.
#[handler]
pub(super) async fn sign_in(req: &mut Request, res: &mut Response, depot: &mut salvo::Depot) -> Result<(), ApiError> {
    let app = App::of(depot)?;
    gate::must_be_ours(req, &app)?;
    let address = ClientAddress::of(&app, req).0;
    let fields = form::Form::read(req).await?;
    let next = next(fields.get("next").map(str::to_owned));
    let secret = Secret::new(fields.get("secret").unwrap_or_default());
    let name = fields.get("name");
    // Whoever has used up their attempts takes nobody's turn.
    match name {
        None => app.limiter.check(&budgets::secret(&app, "operator", &address)).await?,
        Some(name) => app.limit_attempts(name, &address).await?,
    }
    let Ok(turn) = ATTEMPTS.try_acquire() else {
        return Err(ApiError::from_status(StatusCode::TOO_MANY_REQUESTS).with_retry_after(2));
    };
    let found = match name {
        None => by_token(&app, &secret),
        Some(name) => by_password(&app, name, secret).await?,
    };
    drop(turn);
    let Some(Proved { session, user }) = found else {
        tokio::time::sleep(WRONG_TAKES).await;
        let actor = Actor { name: name.unwrap_or("(admin token)").chars().take(200).collect(), reason: None };
        sessions::note(&mut *app.operator_conn().await?, &actor, "session.refused", &json!({"address": address})).await?;
        let page = sign_in_page(&next, Some("That is not right, or not an operator's account."), StatusCode::UNAUTHORIZED);
        page.put(res);
        return Ok(());
    };
    let mut random = [0; 32];
    OsRng.try_fill_bytes(&mut random).map_err(|error| ApiError::internal(&error))?;
    let token = hex::encode(random);
    let mut tx = app.operator.begin().await.map_err(StoreError::from)?;
    sessions::open(&mut tx, &hash(&app, &token), &session, user.as_ref(), LASTS).await?;
    let actor = Actor { name: session.actor, reason: None };
    sessions::note(&mut tx, &actor, "session.open", &json!({"address": address})).await?;
    tx.commit().await.map_err(StoreError::from)?;
    let secure = if app.public_url.starts_with("https://") { "; Secure" } else { "" };
    set_cookie(res, &format!("{COOKIE}={token}; Path=/ops; Max-Age={}; HttpOnly; SameSite=Strict{secure}", LASTS.as_secs()));
    form::go(res, &next, "");
    Ok(())
}

/// Whoever has shown that they may sign in.
struct Proved {
    session: OperatorSession,
    /// `None`: they know the admin token.
    user: Option<User>,
}

fn by_token(app: &App, token: &Secret) -> Option<Proved> {
    let known = app.admin_token.as_ref().is_some_and(|known| known.matches(token.expose()));
    known.then(|| Proved { session: OperatorSession { actor: "operator".to_owned(), may_act: true }, user: None })
}

async fn by_password(app: &App, name: &str, password: Secret) -> Result<Option<Proved>, ApiError> {
    let found = people::find(&mut *app.operator_conn().await?, Login::Name(name)).await?;
    let hash = found.as_ref().and_then(|candidate| candidate.password_hash.clone());
    let right = app.passwords.verify(password, hash).await?;
    let Some(candidate) = found.filter(|candidate| right && candidate.user.active) else { return Ok(None) };
    let user = candidate.user;
    let role = sessions::platform_role(&mut *app.operator_conn().await?, user.id).await?;
    let actor = format!("user:{} ({})", user.id, user.email.as_ref().unwrap_or(&user.name));
    Ok(role.map(|may_act| Proved { session: OperatorSession { actor, may_act }, user: Some(user) }))
}

/// Signs out.
#[handler]
pub(super) async fn sign_out(req: &mut Request, res: &mut Response, depot: &mut salvo::Depot) -> Result<(), ApiError> {
    let app = App::of(depot)?;
    let form = form::Form::read(req).await?;
    let viewer = depot.get_typed::<gate::Viewer>().cloned().map_err(|_| ApiError::unauthorized())?;
    if !viewer.sent(form.get("csrf").unwrap_or_default()) {
        return Err(ApiError::forbidden("This form is not one of your session: load the page again"));
    }
    if let Some(token) = form::cookie(req.headers(), COOKIE) {
        let address = ClientAddress::of(&app, req).0;
        let mut tx = app.operator.begin().await.map_err(StoreError::from)?;
        if sessions::close(&mut tx, &hash(&app, token)).await? {
            sessions::note(&mut tx, &viewer.actor(None), "session.close", &json!({"address": address})).await?;
        }
        tx.commit().await.map_err(StoreError::from)?;
    }
    set_cookie(res, &format!("{COOKIE}=; Path=/ops; Max-Age=0; HttpOnly; SameSite=Strict"));
    form::go(res, "/ops/sign-in", "");
    Ok(())
}

fn set_cookie(res: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        res.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// The form that signs out.
pub(super) fn sign_out_form(csrf: &str) -> Markup {
    html! {
        form method="post" action="/ops/sign-out" class="inline" {
            input type="hidden" name="csrf" value=(csrf);
            button type="submit" class="quiet" { "Sign out" }
        }
    }
}
