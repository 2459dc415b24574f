//! An operator's browser without a window: keeps the cookie, sends forms with what the page gave.

use crate::harness::{ADMIN_TOKEN, Answer, App};
use reqwest::{Client, header::SET_COOKIE, redirect};
use serde_json::Value;
use std::time::Duration;

/// Somebody at the pages.
pub(super) struct Operator {
    http: Client,
    base: String,
    pub(super) cookie: String,
    pub(super) csrf: String,
}

/// A page, or a redirection.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) headers: reqwest::header::HeaderMap,
    pub(super) text: String,
}

impl Page {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    #[track_caller]
    pub(super) fn ok(self) -> String {
        assert_eq!(self.status, 200, "{}", self.text);
        self.text
    }

    /// Where a form led.
    #[track_caller]
    pub(super) fn to(self) -> String {
        assert_eq!(self.status, 303, "{}", self.text);
        self.header("location").to_owned()
    }

    pub(super) fn cookie(&self, name: &str) -> Option<String> {
        let cookies = self.headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        cookies.filter(|cookie| cookie.starts_with(&format!("{name}="))).map(str::to_owned).next()
    }
}

impl Operator {
    /// Nobody yet.
    pub(super) fn stranger(app: &App) -> Self {
        let http = platform::http::builder().timeout(Duration::from_secs(20)).redirect(redirect::Policy::none()).build().unwrap();
        Self { http, base: app.url(""), cookie: String::new(), csrf: String::new() }
    }

    /// Signed in with the admin token.
    pub(super) async fn of(app: &App) -> Self {
        Self::signed_in(app, &[("secret", ADMIN_TOKEN)]).await
    }

    pub(super) async fn signed_in(app: &App, fields: &[(&str, &str)]) -> Self {
        let mut operator = Self::stranger(app);
        let page = operator.post("/ops/sign-in", fields).await;
        assert_eq!(page.status, 303, "{}", page.text);
        let cookie = page.cookie("switchboard_ops").unwrap();
        operator.cookie = cookie.split(';').next().unwrap().to_owned();
        let text = operator.get("/ops").await.ok();
        operator.csrf = between(&text, "name=\"csrf\" value=\"", "\"").to_owned();
        operator
    }

    pub(super) async fn get(&self, path: &str) -> Page {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    /// Sends a form as it is.
    pub(super) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let body: String = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&");
        let request = self.http.post(format!("{}{path}", self.base)).header("content-type", "application/x-www-form-urlencoded");
        self.send(request.header("origin", self.base.clone()).body(body)).await
    }

    /// Sends a form of the session.
    pub(super) async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.post(path, &[&[("csrf", self.csrf.as_str())], fields].concat()).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Page {
        let answer = request.header("cookie", &self.cookie).send().await.unwrap();
        Page { status: answer.status().as_u16(), headers: answer.headers().clone(), text: answer.text().await.unwrap() }
    }

    /// The overview says so, sooner or later.
    pub(super) async fn until_overview(&self, says: &str) {
        crate::harness::until(&format!("the overview says: {says}"), async || self.get("/ops").await.text.contains(says)).await;
    }
}

pub(super) fn encoded(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// As text is written in a page.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What stands between two marks.
#[track_caller]
pub(super) fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from} in {text}"));
    rest.split_once(to).unwrap().0
}

impl App {
    /// The same by the API, with the admin token.
    pub(super) async fn ops(&self, method: &str, path: &str, body: Value) -> Answer {
        let request = self.request(method, &format!("/api/ops/{path}")).header("x-admin-token", ADMIN_TOKEN);
        self.send(if body.is_null() { request } else { request.json(&body) }).await
    }
}
