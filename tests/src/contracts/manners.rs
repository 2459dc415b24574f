//! Rate limits, hostile requests on every route, and what is answered when Postgres or Redis is away.

use super::inbox;
use crate::harness::{ADMIN_TOKEN, App, Database, INTERNAL_TOKEN, PrivatePostgres, User, until};
use serde_json::{Value, json};

#[tokio::test]
async fn a_users_limit_holds_over_all_processes_and_is_told_in_headers() {
    let mut app =
        App::without_processes(Database::create().await, &[("RATE_LIMIT_USER_PER_MIN", "5"), ("RATE_LIMIT_PLATFORM_PER_MIN", "3")]).await;
    app.start_api().await;
    let ann = app.register("ann").await;
    let bob = app.colleague(&ann, "bob", "agent").await;
    let second = app.start_second_api().await;
    let call = async |port: u16, user: &User, path: &str| {
        app.send(app.http.get(format!("http://127.0.0.1:{port}{path}")).bearer_auth(&user.token)).await
    };
    for (turn, port) in [app.port, second, app.port, second, app.port].into_iter().enumerate() {
        let answer = call(port, &ann, "/api/channels").await;
        assert_eq!(
            (answer.status, answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining")),
            (200, Some("5"), Some((4 - turn).to_string().as_str()))
        );
        assert!(answer.header("x-ratelimit-reset").unwrap().parse::<i64>().unwrap() > 1_700_000_000);
    }
    for (port, path, message) in [(second, "/api/channels", "message"), (app.port, "/api/tickets", "detail")] {
        let refused = call(port, &ann, path).await;
        assert_eq!((refused.status, refused.header("x-ratelimit-remaining")), (429, Some("0")));
        let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds) && refused.body[message].is_string(), "{}", refused.body);
    }
    // Somebody else's budget is their own; the platform's is the tenant's, with its burst.
    call(app.port, &bob, "/api/channels").await.expect(200);
    for _ in 0..100 {
        call(app.port, &ann, "/api/auth/users").await.expect(200);
    }
    let refused = call(app.port, &ann, "/api/auth/users").await.expect(429);
    assert_eq!(refused["status_code"], json!(429));
}

#[tokio::test]
async fn guessing_passwords_is_slowed_down_for_the_account() {
    let mut app = App::without_processes(Database::create().await, &[("RATE_LIMIT_SIGN_IN_PER_MIN", "3")]).await;
    app.start_api().await;
    let ann = app.register("ann").await;
    let guess = async |email: &str| app.call("POST", "/api/auth/login", None, json!({"email": email, "password": "wrong"})).await;
    for email in ["ann@example.com", "ANN@example.com"] {
        guess(email).await.expect(401);
    }
    let refused = guess(&ann.email).await;
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (429, true));
    guess("somebody@example.com").await.expect(401);
}

#[tokio::test]
async fn while_redis_is_away_requests_pass_and_a_metric_says_so() {
    let mut app = App::without_processes(Database::create().await, &[("RATE_LIMIT_USER_PER_MIN", "2")]).await;
    app.start_api().await;
    let ann = app.register("ann").await;
    app.redis.stop();
    for _ in 0..5 {
        app.get(&ann, "/api/channels").await.expect(200);
    }
    let metrics = app.http.get(app.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let skipped = metrics.lines().find_map(|line| line.strip_prefix("switchboard_rate_limit_skipped_total ")).unwrap();
    assert!(skipped.parse::<u64>().unwrap() >= 5, "{skipped}");
    until("health says so too", async || {
        let health = app.send(app.request("GET", "/admin/health").header("x-admin-token", ADMIN_TOKEN)).await.expect(200);
        health["redis"] == "disconnected" && health["status"] == "degraded"
    })
    .await;
}

#[tokio::test]
async fn while_postgres_is_away_every_contract_says_so_in_its_own_words() {
    let postgres = PrivatePostgres::start();
    let mut app = App::without_processes(Database::create_on(&postgres.url).await, &[]).await;
    app.start_api().await;
    let ann = app.register("ann").await;
    let desk = app.desk_token(&ann).await;
    postgres.stop("immediate");
    let login = json!({"email": ann.email, "password": "x"});
    let cases = [
        ("GET", "/api/contacts", Some(&ann.token), Value::Null, json!(false), Value::Null),
        ("GET", "/api/channels", Some(&ann.token), Value::Null, json!(false), Value::Null),
        ("GET", "/api/tickets", Some(&desk), Value::Null, Value::Null, Value::Null),
        ("GET", "/api/auth/users", Some(&ann.token), Value::Null, Value::Null, json!(503)),
        ("POST", "/api/auth/login", None, login, json!(false), json!(503)),
    ];
    for (method, path, token, body, success, code) in cases {
        let answer = app.call(method, path, token.map(String::as_str), body).await;
        assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true), "{path}: {}", answer.body);
        assert_eq!((&answer.body["success"], &answer.body["status_code"]), (&success, &code), "{path}");
        assert!(answer.body["message"].is_string() || answer.body["detail"].is_string(), "{path}");
    }
    let chats = app.send(app.request("GET", "/admin/chats/summary").header("x-admin-token", ADMIN_TOKEN)).await.expect(503);
    assert!(chats["detail"].is_string());
    postgres.restart();
    until("it works again", async || app.get(&ann, "/api/contacts").await.status == 200).await;
}

/// What nobody should send, with the status that it deserves.
fn hostile() -> Vec<(&'static str, Vec<u8>, Option<u16>)> {
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let nested = format!("{{\"name\":{}1{}}}", "{\"a\":".repeat(500), "}".repeat(500));
    vec![
        ("nothing", b"".to_vec(), None),
        ("no JSON", b"nonsense".to_vec(), None),
        ("cut off", br#"{"name": "x"#.to_vec(), None),
        ("an array", b"[]".to_vec(), None),
        ("a text", br#""x""#.to_vec(), None),
        ("null", b"null".to_vec(), None),
        ("deep arrays", deep.into_bytes(), None),
        ("deep objects", nested.into_bytes(), None),
        ("a lone surrogate", br#"{"name": "\ud800", "email": "\udfff", "subject": "\ud800"}"#.to_vec(), None),
        ("a NUL", br#"{"name": "a\u0000b", "email": "a\u0000b", "content": "\u0000"}"#.to_vec(), None),
        ("a raw NUL", b"{\"name\": \"a\x00b\"}".to_vec(), None),
        ("no UTF-8", b"{\"name\": \"\xff\xfe\"}".to_vec(), None),
        ("huge numbers", br#"{"name": 1e400, "client_id": 99999999999999999999999, "limit": -1e308}"#.to_vec(), None),
        ("something behind it", b"{} {}".to_vec(), None),
        ("ten megabytes", format!("{{\"name\": \"{}\"}}", "x".repeat(10 * 1024 * 1024)).into_bytes(), Some(413)),
    ]
}

#[tokio::test]
async fn hostile_bodies_are_refused_by_every_route_in_the_words_of_its_contract() {
    // More requests than a tenant may make in a minute.
    let mut app = App::without_processes(Database::create().await, &[("RATE_LIMIT_PLATFORM_PER_MIN", "0")]).await;
    app.start_api().await;
    let ann = inbox(&app).await;
    let document = app.call("GET", "/openapi.json", None, Value::Null).await.expect(200);
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            // Visitors of websites may say little in a minute: see the chat's own tests.
            if path == "/api/webhook"
                || path.starts_with("/api/public/")
                || operation["requestBody"]["content"]["application/json"].is_null()
            {
                continue;
            }
            // Ids of nobody: whatever is read first, the answer is no server error.
            let target =
                path.replace("{ticket_id}", "1").replace("{event_id}", "1").replace("{user_id}", "00000000-0000-0000-0000-000000000000");
            let target =
                target.replace("{tenant_id}", &ann.tenant).replace("/api/users/00000000-0000-0000-0000-000000000000", "/api/users/1");
            let target = target
                .split('/')
                .map(|part| if part.starts_with('{') { "00000000-0000-0000-0000-000000000000" } else { part })
                .collect::<Vec<_>>()
                .join("/");
            let request = |content_type: &str, body: Vec<u8>| {
                app.request(&method.to_uppercase(), &target)
                    .bearer_auth(&ann.token)
                    .header("x-admin-token", ADMIN_TOKEN)
                    .header("x-internal-secret", INTERNAL_TOKEN)
                    .header("content-type", content_type)
                    .body(body)
            };
            for (what, body, status) in hostile() {
                let answer = app.send(request("application/json", body)).await;
                let place = format!("{method} {path}, {what}: {} {}", answer.status, answer.body);
                if let Some(status) = status {
                    assert_eq!(answer.status, status, "{place}");
                } else {
                    // A change of which nothing is known changes nothing.
                    let changes = method == "patch" || path.starts_with("/api/admin/widgets/") || path.starts_with("/api/admin/tenants/");
                    assert!(matches!(answer.status, 400 | 404 | 422) || (changes && answer.status == 200), "{place}");
                }
                assert!(answer.status == 200 || answer.body["message"].is_string() || answer.body["detail"].is_string(), "{place}");
                tried += 1;
            }
            for content_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
                let answer = app.send(request(content_type, b"{}".to_vec())).await;
                assert_eq!(answer.status, 415, "{method} {path} as {content_type}: {}", answer.body);
            }
        }
    }
    assert!(tried > 300, "{tried}");
    assert_eq!(app.get(&ann, "/api/settings").await.expect(200)["data"]["tenant"]["name"], json!("ann ltd"), "nothing was changed");
}

/// As a user; as an operator, where only those get in.
fn reading(app: &App, user: &User, path: &str) -> reqwest::RequestBuilder {
    let request = app.request("GET", path).bearer_auth(&user.token);
    if path.starts_with("/api/ops/") { request.header("x-admin-token", ADMIN_TOKEN) } else { request }
}

#[tokio::test]
async fn hostile_queries_and_ids_are_refused_by_every_list() {
    let mut app = App::without_processes(Database::create().await, &[("RATE_LIMIT_PLATFORM_PER_MIN", "0")]).await;
    app.start_api().await;
    let ann = inbox(&app).await;
    let document = app.call("GET", "/openapi.json", None, Value::Null).await.expect(200);
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let secured =
            |operation: &Value| operation["security"].as_array().is_some_and(|all| all.iter().any(|one| one.get("BearerAuth").is_some()));
        let Some(operation) = item.get("get").filter(|operation| secured(operation)) else { continue };
        if path.contains('{') {
            for id in ["x", "0", "-1", "%00", "%27%20OR%201=1--", "99999999999999999999", "..%2f..%2fetc"] {
                let target = path.split('/').map(|part| if part.starts_with('{') { id } else { part }).collect::<Vec<_>>().join("/");
                let answer = app.send(reading(&app, &ann, &target)).await;
                assert_eq!(answer.status, 404, "{target}: {}", answer.body);
                tried += 1;
            }
            continue;
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten().filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            let values: &[&str] = match (name, parameter["schema"]["type"].as_str()) {
                ("limit" | "page" | "days", _) => &["0", "-1", "abc", "1e3", "99999999999999999999", "1.5"],
                ("offset", _) => &["-1", "abc", "99999999999999999999"],
                (_, Some("integer")) => &["abc", "1.5", "99999999999999999999"],
                (_, Some("boolean")) => &["maybe", "1"],
                _ => &["%00"],
            };
            for value in values {
                let answer = app.send(reading(&app, &ann, &format!("{path}?{name}={value}"))).await;
                assert!(matches!(answer.status, 400 | 422), "{path}?{name}={value}: {} {}", answer.status, answer.body);
                tried += 1;
            }
            // A large limit is clamped; quotes and wildcards are only text.
            if name == "limit" {
                app.get(&ann, &format!("{path}?limit=1000000000")).await.expect(200);
            }
            if name == "search" {
                app.get(&ann, &format!("{path}?search=%27%3B%20DROP%20TABLE%20users--%25_%5C")).await.expect(200);
            }
        }
    }
    assert!(tried > 100, "{tried}");
}

#[tokio::test]
async fn browsers_of_listed_origins_may_ask_everything_and_others_read_nothing() {
    let mut app = App::without_processes(Database::create().await, &[("CORS_ORIGIN", "https://app.example.com")]).await;
    app.start_api().await;
    let ann = app.register("ann").await;
    let preflight = async |path: &str, origin: &str| {
        let request = app.request("OPTIONS", path).header("origin", origin).header("access-control-request-method", "PATCH");
        app.send(request.header("access-control-request-headers", "authorization,content-type")).await
    };
    let allowed = |answer: &crate::harness::Answer| answer.header("access-control-allow-origin").map(str::to_owned);
    for path in
        ["/api/channels", "/api/conversations/00000000-0000-0000-0000-000000000000", "/admin/tenants", "/api/admin/agents", "/socket.io/"]
    {
        let good = preflight(path, "https://app.example.com").await;
        assert_eq!((good.status, allowed(&good).as_deref()), (204, Some("https://app.example.com")), "{path}");
        assert!(good.header("access-control-allow-headers").unwrap().to_ascii_lowercase().contains("authorization"), "{path}");
        assert!(good.header("access-control-allow-methods").unwrap().contains("PATCH"), "{path}");
        assert_eq!(allowed(&preflight(path, "https://evil.example.com").await), None, "{path}");
    }
    // A website with a widget may be anywhere; where it may be, the widget's own settings say.
    let widget = format!("/api/public/widgets/{}/chat", ann.tenant);
    assert_eq!(allowed(&preflight(&widget, "https://shop.example.com").await).as_deref(), Some("https://shop.example.com"));
    // Errors are read by frontends too.
    for (token, status) in [(Some(ann.token.as_str()), 200), (None, 401)] {
        let mut request = app.request("GET", "/api/channels").header("origin", "https://app.example.com");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = app.send(request).await;
        assert_eq!((answer.status, allowed(&answer).as_deref()), (status, Some("https://app.example.com")));
    }
    assert_eq!(app.send(app.request("OPTIONS", "/api/channels")).await.status, 405, "no browser asks like this");
}
