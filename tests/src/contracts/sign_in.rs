//! Registering, signing in, refreshing, signing out.

use crate::harness::{App, PASSWORD, User, until};
use serde_json::{Value, json};

async fn me(app: &App, token: &str) -> u16 {
    app.call("GET", "/api/auth/me", Some(token), Value::Null).await.status
}

async fn refresh(app: &App, token: &str) -> crate::harness::Answer {
    app.call("POST", "/api/auth/refresh", None, json!({"refreshToken": token})).await
}

#[tokio::test]
async fn registering_makes_a_tenant_and_its_owner_in_the_shape_of_every_contract() {
    let app = App::start_api_only().await;
    let body = json!({"tenantName": "Company Name", "email": "admin@company.com", "password": "SecurePass123!", "name": "Admin User"});
    let session = app.call("POST", "/api/auth/register", None, body).await.expect(201);
    assert_eq!(session["success"], true);
    assert_eq!(session["data"]["user"]["role"], "OWNER");
    assert_eq!((&session["user"]["role"], &session["user"]["email"]), (&json!("owner"), &json!("admin@company.com")));
    assert_eq!((&session["data"]["tenant"]["name"], &session["tenant"]["name"]), (&json!("Company Name"), &json!("Company Name")));
    assert_eq!(session["data"]["token"], session["accessToken"]);
    assert_eq!(session["data"]["refreshToken"], session["refreshToken"]);
    let token = session["accessToken"].as_str().unwrap();
    let me = app.call("GET", "/api/auth/me", Some(token), Value::Null).await.expect(200);
    assert_eq!((&me["tenantId"], &me["user"], &me["data"]["user"]["role"]), (&session["tenant"]["id"], &session["user"], &json!("OWNER")));
    assert!(!app.db.text("SELECT password_hash FROM users").await.contains("SecurePass123!"));
}

#[tokio::test]
async fn an_e_mail_is_taken_once_however_it_is_written_and_however_many_come_at_once() {
    let app = App::start_api_only().await;
    let register = |email: &'static str| app.call("POST", "/api/auth/register", None, json!({"email": email, "password": PASSWORD}));
    let answers = tokio::join!(register("a@example.com"), register("A@example.com"), register("a@EXAMPLE.com"));
    let mut statuses = [answers.0.status, answers.1.status, answers.2.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409]);
    assert_eq!(app.db.count("SELECT count(*) FROM users").await, 1);
    assert_eq!(app.db.count("SELECT count(*) FROM tenants").await, 3, "the losers leave no tenant behind");
}

#[tokio::test]
async fn what_is_wrong_with_a_registration_is_said_field_by_field_in_the_union_body() {
    let app = App::start_api_only().await;
    let body = app.call("POST", "/api/auth/register", None, json!({"email": "nonsense", "password": "short"})).await.expect(400);
    assert_eq!((&body["success"], &body["status_code"]), (&json!(false), &json!(400)));
    assert_eq!(body["errors"], json!({"email": ["must be an e-mail address"], "password": ["must have at least 8 characters"]}));
    assert_eq!(body["message"], body["detail"]);
}

#[tokio::test]
async fn wrong_passwords_and_unknown_people_are_answered_alike() {
    let app = App::start_api_only().await;
    let user = app.register("ann").await;
    let login =
        |email: String, password: &'static str| app.call("POST", "/api/auth/login", None, json!({"email": email, "password": password}));
    let wrong = login(user.email.clone(), "wrong password").await.expect(401);
    let unknown = login("nobody@example.com".to_owned(), "wrong password").await.expect(401);
    assert_eq!(wrong, unknown);
    assert_eq!(
        app.db.texts("SELECT act || ' ' || actor FROM audit_log ORDER BY id DESC LIMIT 1").await,
        ["session.refused ann@example.com"]
    );
    login("ANN@example.com".to_owned(), PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_refresh_token_is_used_once_and_ends_its_family_when_it_comes_again() {
    let app = App::start_api_only().await;
    let user = app.register("ann").await;
    let second = refresh(&app, &user.refresh_token).await.expect(200);
    let third = refresh(&app, second["refreshToken"].as_str().unwrap()).await.expect(200);
    assert_eq!(me(&app, third["accessToken"].as_str().unwrap()).await, 200);
    refresh(&app, &user.refresh_token).await.expect(401);
    refresh(&app, third["refreshToken"].as_str().unwrap()).await.expect(401);
    assert_eq!(me(&app, third["accessToken"].as_str().unwrap()).await, 401, "its access tokens are of no use either");
    assert_eq!(app.db.text("SELECT ended_why FROM user_sessions").await, "refresh_token_reused");
    refresh(&app, "never given").await.expect(401);
}

#[tokio::test]
async fn of_refreshes_that_come_at_once_one_wins_and_the_session_lives() {
    let app = App::start_api_only().await;
    let user = app.register("ann").await;
    // The token's row is held, so that all of them are under way before the first one is done.
    let mut holder = app.db.pool().begin().await.unwrap();
    sqlx::Executor::execute(&mut *holder, "SELECT FROM refresh_tokens FOR UPDATE").await.unwrap();
    let racers: Vec<_> = (0..4).map(|_| refresh(&app, &user.refresh_token)).collect();
    let release = async {
        until("all wait for the token", async || {
            app.db.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").await == 4
        })
        .await;
        holder.commit().await.unwrap();
    };
    let answers = futures_join(racers, release).await;
    let won: Vec<_> = answers.into_iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(won.len(), 1);
    let new = won[0].body["refreshToken"].as_str().unwrap();
    refresh(&app, new).await.expect(200);
}

async fn futures_join<T>(futures: Vec<impl Future<Output = T>>, release: impl Future<Output = ()>) -> Vec<T> {
    let (answers, ()) = tokio::join!(futures::future::join_all(futures), release);
    answers
}

#[tokio::test]
async fn signing_out_ends_the_session_at_once() {
    let app = App::start_api_only().await;
    let user = app.register("ann").await;
    let other = app.sign_in(&user.email).await;
    app.call("POST", "/api/auth/logout", Some(&user.token), Value::Null).await.expect(204);
    assert_eq!(me(&app, &user.token).await, 401);
    refresh(&app, &user.refresh_token).await.expect(401);
    assert_eq!(me(&app, &other.token).await, 200, "other sessions go on");
}

#[tokio::test]
async fn tokens_that_are_expired_forged_or_missing_are_refused() {
    let app = App::start_api_only().await;
    let user = app.register("ann").await;
    let parts: Vec<&str> = user.token.split('.').collect();
    let unsigned = format!("eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.{}.", parts[1]);
    for token in ["", "x", &unsigned, &format!("{}.{}.AAAA", parts[0], parts[1]), &user.refresh_token] {
        assert_eq!(me(&app, token).await, 401, "{token}");
    }
    assert_eq!(app.call("GET", "/api/auth/me", None, Value::Null).await.status, 401);
    assert_eq!(app.send(app.request("GET", "/api/auth/me").header("authorization", format!("Basic {}", user.token))).await.status, 401);
}

#[tokio::test]
async fn a_deactivated_user_is_out_within_a_second() {
    let app = App::start_api_only().await;
    let user: User = app.register("ann").await;
    assert_eq!(me(&app, &user.token).await, 200);
    app.db.run("UPDATE users SET active = false").await;
    until("the session is not live any more", async || me(&app, &user.token).await == 401).await;
    let login = json!({"email": user.email, "password": PASSWORD});
    app.call("POST", "/api/auth/login", None, login).await.expect(401);
    refresh(&app, &user.refresh_token).await.expect(401);
}

#[tokio::test]
async fn the_helpdesk_has_one_token_and_its_own_bodies() {
    let app = App::start_api_only().await;
    let user = app.register("ann").await;
    let body = app.call("POST", "/api/login", None, json!({"username": user.email, "password": PASSWORD})).await.expect(200);
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("bearer"), &json!(3600)));
    assert_eq!(
        (&body["user"]["role"], &body["user"]["username"], &body["user"]["active"]),
        (&json!("admin"), &json!(user.email), &json!(true))
    );
    assert_eq!(me(&app, body["access_token"].as_str().unwrap()).await, 200);
    let wrong = app.call("POST", "/api/login", None, json!({"username": user.email, "password": "no"})).await;
    assert_eq!((wrong.status, wrong.body), (401, json!({"detail": "Unauthorized"})));
    let missing = app.call("POST", "/api/login", None, json!({"username": "x"})).await;
    assert_eq!((missing.status, missing.body), (400, json!({"detail": "Bad Request", "errors": {"password": ["is required"]}})));
}

#[tokio::test]
async fn attempts_to_sign_in_are_limited_by_account() {
    let mut app = App::without_processes(crate::harness::Database::create().await, &[]).await;
    app.set("RATE_LIMIT_SIGN_IN_PER_MIN", "3");
    app.start_api().await;
    let login = |email: &'static str| app.call("POST", "/api/auth/login", None, json!({"email": email, "password": "wrong"}));
    for _ in 0..3 {
        login("ann@example.com").await.expect(401);
    }
    let refused = login("ANN@example.com").await;
    assert_eq!((refused.status, &refused.body["success"]), (429, &json!(false)));
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    login("bob@example.com").await.expect(401);
}
