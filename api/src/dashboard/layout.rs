//! What all pages share: the frame around them, the headers that keep them safe, and errors as pages.

use super::{
    form::{self, Draft},
    gate::Viewer,
    session,
};
use crate::ApiError;
use maud::{DOCTYPE, Markup, html};
use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Writer, async_trait,
    http::{
        HeaderName, HeaderValue, ResBody, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS},
    },
};

/// No script and no style but ours, from files; nothing from elsewhere; no frame around us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// The pages, as the navigation names them.
const PAGES: &[(&str, &str)] = &[
    ("/ops", "Overview"),
    ("/ops/history", "History"),
    ("/ops/jobs", "Jobs"),
    ("/ops/dead", "Dead letters"),
    ("/ops/journey", "Journey"),
    ("/ops/webhooks", "Webhooks"),
    ("/ops/control", "Pauses"),
    ("/ops/acts", "Acts"),
    ("/ops/runbook", "Runbook"),
];

/// Sets the headers of every page.
pub(super) struct Headers;

#[async_trait]
impl Handler for Headers {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, ctrl: &mut FlowCtrl) {
        let headers = res.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        // Not `no-referrer`: with that, browsers name no origin with our own forms.
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
        ctrl.call_next(req, depot, res).await;
    }
}

/// A page.
#[derive(Debug)]
pub(super) struct Html {
    status: StatusCode,
    text: String,
}

impl Html {
    /// The page as the answer to a form that was refused.
    pub(super) fn refusing(self, error: &ApiError) -> Self {
        Self { status: error.status, ..self }
    }

    pub(super) fn put(self, res: &mut Response) {
        res.status_code(self.status);
        res.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        res.body = ResBody::Once(self.text.into());
    }
}

#[async_trait]
impl Writer for Html {
    async fn write(self, _req: &mut Request, _depot: &mut Depot, res: &mut Response) {
        self.put(res);
    }
}

/// A page within the frame. `live`: what `/ops/live` shows in place of `#live`, as long as the page is open.
pub(super) struct Page<'a> {
    pub title: &'a str,
    pub viewer: &'a Viewer,
    pub body: Markup,
}

impl Page<'_> {
    pub(super) fn show(self, req: &Request, res: &mut Response) -> Html {
        let said = form::said(req, res);
        let here = req.uri().path();
        let current = |path: &str| here == path || (path != "/ops" && here.starts_with(path));
        let body = html! {
            a class="skip" href="#main" { "Skip to the content" }
            header {
                nav aria-label="Pages" {
                    @for (path, name) in PAGES {
                        a href=(path) aria-current=[current(path).then_some("page")] { (name) }
                    }
                }
                div class="who" {
                    span { (known_as(&self.viewer.name)) @if !self.viewer.may_act() { " (looks only)" } }
                    (session::sign_out_form(self.viewer.csrf()))
                }
            }
            main id="main" {
                h1 { (self.title) }
                @if let Some(said) = said { p class="said" role="status" { (said) } }
                (self.body)
            }
        };
        bare(self.title, &body, StatusCode::OK)
    }
}

/// A page without the frame.
pub(super) fn bare(title: &str, body: &Markup, status: StatusCode) -> Html {
    let text = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Switchboard" }
                link rel="stylesheet" href="/ops/ops.css";
                script src="/ops/ops.js" defer {}
            }
            body { (body) }
        }
    };
    Html { status, text: text.into_string() }
}

/// A failed request, as a page.
pub(crate) fn error_page(error: &ApiError, res: &mut Response) {
    let body = html! {
        main class="narrow" {
            h1 { (error.status.as_u16()) " " (error.status.canonical_reason().unwrap_or_default()) }
            p class="bad" role="alert" { (error.message) }
            p { a href="/ops" { "To the overview" } }
        }
    };
    bare("Error", &body, error.status).put(res);
}

/// The fields that every form of somebody who may act carries.
pub(super) fn form_fields(viewer: &Viewer) -> Markup {
    html! { input type="hidden" name="csrf" value=(viewer.csrf()); }
}

/// Why: a field of every form.
pub(super) fn reason_field() -> Markup {
    reason_again(Draft::default())
}

/// The same, with what was typed.
pub(super) fn reason_again(draft: Draft<'_>) -> Markup {
    html! {
        label class="reason" { "Why" input name="reason" type="text" maxlength="500" placeholder="for the audit log" value=[draft.typed("reason")]; }
    }
}

/// Why a form was refused: stands in it.
pub(super) fn problem(draft: Draft<'_>) -> Markup {
    html! { @if let Some(error) = draft.error() { p class="bad" role="alert" { (error.message) } } }
}

/// A table that may be wider than the screen: it scrolls by itself, also by the keyboard.
pub(super) fn table(label: &str, headings: &[&str], rows: &[Markup]) -> Markup {
    html! {
        div class="scroll" role="region" aria-label=(label) tabindex="0" {
            table {
                thead { tr { @for heading in headings { th scope="col" { (heading) } } } }
                tbody { @for row in rows { (row) } }
            }
        }
    }
}

/// `user:UUID (e-mail)` is known by the e-mail.
fn known_as(name: &str) -> &str {
    name.split_once('(').map_or(name, |(_, known_as)| known_as.trim_end_matches(')'))
}
