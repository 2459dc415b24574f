//! Calling the API as a frontend does.

use super::App;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// The password of everybody in tests.
pub(crate) const PASSWORD: &str = "correct horse 7";
pub(crate) const ADMIN_TOKEN: &str = "the admin token";
pub(crate) const INTERNAL_TOKEN: &str = "the internal token";

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    /// The JSON body; null if there is none, a string if it is something else.
    pub(crate) body: Value,
}

impl Answer {
    /// The body, if the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) token: String,
    pub(crate) refresh_token: String,
    /// UUID.
    pub(crate) id: String,
    /// `tenants.public_id`.
    pub(crate) tenant: String,
    /// `tenants.id`.
    pub(crate) tenant_number: i64,
    pub(crate) email: String,
}

impl App {
    /// The API alone, without a worker.
    pub(crate) async fn start_api_only() -> Self {
        let mut app = Self::without_processes(super::Database::create().await, &[]).await;
        app.start_api().await;
        app
    }

    /// A request with a JSON body (none for null) and a token.
    pub(crate) async fn call(&self, method: &str, path: &str, token: Option<&str>, body: Value) -> Answer {
        let mut request = self.request(method, path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        self.send(request).await
    }

    pub(crate) async fn get(&self, user: &User, path: &str) -> Answer {
        self.call("GET", path, Some(&user.token), Value::Null).await
    }

    pub(crate) async fn post(&self, user: &User, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(&user.token), body).await
    }

    pub(crate) async fn put(&self, user: &User, path: &str, body: Value) -> Answer {
        self.call("PUT", path, Some(&user.token), body).await
    }

    pub(crate) async fn patch(&self, user: &User, path: &str, body: Value) -> Answer {
        self.call("PATCH", path, Some(&user.token), body).await
    }

    pub(crate) async fn delete(&self, user: &User, path: &str) -> Answer {
        self.call("DELETE", path, Some(&user.token), Value::Null).await
    }

    /// A request to be completed and sent with [`App::send`].
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), self.url(path))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.expect("the api answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
        Answer { status, headers, body }
    }

    /// A new tenant whose owner is signed in. `name` is unique in a test.
    pub(crate) async fn register(&self, name: &str) -> User {
        let email = format!("{name}@example.com");
        let body = json!({"email": email, "password": PASSWORD, "name": name, "tenantName": format!("{name} ltd")});
        self.user_of(&self.call("POST", "/api/auth/register", None, body).await.expect(201), email).await
    }

    /// Signs in again.
    pub(crate) async fn sign_in(&self, email: &str) -> User {
        let body = json!({"email": email, "password": PASSWORD});
        self.user_of(&self.call("POST", "/api/auth/login", None, body).await.expect(200), email.to_owned()).await
    }

    /// A user of `owner`'s tenant with this role, signed in. `name` is unique in a test.
    pub(crate) async fn colleague(&self, owner: &User, name: &str, role: &str) -> User {
        let email = format!("{name}@example.com");
        let hash = self.db.text(&format!("SELECT password_hash FROM users WHERE id = '{}'", owner.id)).await;
        self.db
            .run(&format!(
                "INSERT INTO users (tenant_id, id, email, username, name, role, password_hash)
                 VALUES ({}, gen_random_uuid(), '{email}', '{name}', '{name}', '{role}', '{hash}')",
                owner.tenant_number
            ))
            .await;
        self.sign_in(&email).await
    }

    /// A helpdesk token of somebody, who is known by e-mail.
    pub(crate) async fn desk_token(&self, user: &User) -> String {
        let body = self.call("POST", "/api/login", None, json!({"username": user.email, "password": PASSWORD})).await.expect(200);
        body["access_token"].as_str().unwrap().to_owned()
    }

    /// A WhatsApp Cloud channel of `user`'s tenant; returns its id.
    pub(crate) async fn whatsapp_channel(&self, user: &User, phone_number_id: &str) -> String {
        self.db
            .text(&format!(
                "INSERT INTO channel_instances (tenant_id, type, external_id, name, status)
                 VALUES ({}, 'WHATSAPP', '{phone_number_id}', 'WhatsApp', 'CONNECTED') RETURNING id::text",
                user.tenant_number
            ))
            .await
    }

    async fn user_of(&self, session: &Value, email: String) -> User {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let tenant = text(&session["tenant"]["id"]);
        User {
            token: text(&session["accessToken"]),
            refresh_token: text(&session["refreshToken"]),
            id: text(&session["user"]["id"]),
            tenant_number: self.db.count(&format!("SELECT id::int8 FROM tenants WHERE public_id = '{tenant}'")).await,
            tenant,
            email,
        }
    }
}
