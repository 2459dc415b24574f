//! When webhooks cannot be taken: the database away, slow or busy, the inbox full; and what health and metrics say.

use super::deliver;
use crate::harness::{App, Database, PrivatePostgres, free_port, sign, text, until};
use serde_json::{Value, json};
use sqlx::{Executor, Postgres, Transaction};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

/// What a refused webhook is answered, whatever the reason.
const TRY_AGAIN: &str = r#"{"message":"The webhook was not taken; send it again later","success":false}"#;

struct Answer {
    status: u16,
    retry_after: Option<u64>,
    body: String,
}

/// Sends a signed webhook in the background.
fn send(app: &App, body: &str) -> JoinHandle<Answer> {
    let request = app.http.post(app.url("/api/webhook")).header("x-hub-signature-256", sign(body)).body(body.to_owned());
    tokio::spawn(async move {
        let answer = request.send().await.unwrap();
        let retry_after = answer.headers().get("retry-after").map(|seconds| seconds.to_str().unwrap().parse().unwrap());
        Answer { status: answer.status().as_u16(), retry_after, body: answer.text().await.unwrap() }
    })
}

#[track_caller]
fn assert_try_again(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.retry_after.is_some_and(|seconds| (1..=5).contains(&seconds)), "{:?}", answer.retry_after);
    let (body, expected): (Value, Value) = (serde_json::from_str(&answer.body).unwrap(), serde_json::from_str(TRY_AGAIN).unwrap());
    assert_eq!(body, expected);
}

async fn health(app: &App) -> (u16, Value) {
    let answer = app.http.get(app.url("/health")).send().await.unwrap();
    (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

/// Waits for these words of `/health`: a look is believed for a while.
async fn until_health(app: &App, code: u16, status: &str, db: &str, redis: &str) {
    until(&format!("health is {status}"), async || {
        let (got, body) = health(app).await;
        got == code && body["status"] == status && body["db"] == db && body["redis"] == redis
    })
    .await;
}

/// Nothing can be inserted until it ends.
async fn block_ingest(app: &App) -> Transaction<'static, Postgres> {
    let mut transaction = app.db.pool().begin().await.unwrap();
    transaction.execute("LOCK TABLE raw_webhook_events IN ACCESS EXCLUSIVE MODE").await.unwrap();
    transaction
}

async fn until_blocked(app: &App) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("a commit waits for the lock", async || app.db.count(waiting).await == 1).await;
}

async fn metrics(app: &App, port: u16) -> String {
    app.http.get(format!("http://127.0.0.1:{port}/metrics")).send().await.unwrap().text().await.unwrap()
}

/// The value of a series, named with its labels; `none` if there is none.
fn value<'a>(metrics: &'a str, series: &str) -> &'a str {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')).unwrap_or("none")
}

#[tokio::test]
async fn while_postgres_is_down_webhooks_are_refused_and_afterwards_taken_again() {
    let postgres = PrivatePostgres::start();
    let mut app = App::without_processes(Database::create_on(&postgres.url).await, &[]).await;
    app.start_api().await;
    app.start_worker(&[]).await;
    deliver(&app, &text("wamid.1")).await;
    until_health(&app, 200, "ok", "up", "up").await;
    postgres.stop("immediate");
    for _ in 0..5 {
        assert_try_again(&send(&app, &text("wamid.2")).await.unwrap());
    }
    until_health(&app, 503, "down", "down", "up").await;
    postgres.restart();
    until("webhooks are taken again", async || app.webhook(&text("wamid.2")).await == 200).await;
    until_health(&app, 200, "ok", "up", "up").await;
    app.drain().await;
    assert_eq!(app.db.texts("SELECT external_id FROM chat_messages ORDER BY 1").await, ["wamid.1", "wamid.2"]);
}

#[tokio::test]
async fn an_api_that_starts_before_its_database_refuses_until_it_is_there() {
    let postgres = PrivatePostgres::start();
    let mut app = App::without_processes(Database::create_on(&postgres.url).await, &[]).await;
    postgres.stop("fast");
    app.start_api().await;
    assert_try_again(&send(&app, &text("wamid.1")).await.unwrap());
    assert_eq!(health(&app).await.0, 503);
    postgres.restart();
    until("webhooks are taken", async || app.webhook(&text("wamid.1")).await == 200).await;
    assert_eq!(app.db.count("SELECT count(*) FROM jobs").await, 1);
}

#[tokio::test]
async fn a_full_inbox_refuses_at_once_and_stores_nothing_of_what_it_refused() {
    let mut app = App::without_processes(Database::create().await, &[("INBOX_MAX_EVENTS", "1")]).await;
    app.start_api().await;
    let blocking = block_ingest(&app).await;
    let first = send(&app, &text("wamid.1"));
    until_blocked(&app).await;
    for n in 2..5 {
        assert_try_again(&send(&app, &text(&format!("wamid.{n}"))).await.unwrap());
    }
    assert_eq!(value(&metrics(&app, app.port).await, "switchboard_webhooks_refused_total{reason=\"full\"}"), "3");
    blocking.rollback().await.unwrap();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(app.webhook(&text("wamid.5")).await, 200);
    assert_eq!(app.db.count("SELECT count(*) FROM raw_webhook_events").await, 2);
    assert_eq!(app.db.count("SELECT count(*) FROM raw_webhook_events WHERE convert_from(body, 'UTF8') ~ 'wamid.[234]'").await, 0);
    app.start_worker(&[]).await;
    app.drain().await;
    assert_eq!(app.db.texts("SELECT external_id FROM chat_messages ORDER BY 1").await, ["wamid.1", "wamid.5"]);
}

#[tokio::test]
async fn an_inbox_is_full_by_its_bytes_too() {
    let limit = 3 * 1024 * 1024;
    let mut app = App::without_processes(Database::create().await, &[("INBOX_MAX_BYTES", &limit.to_string())]).await;
    app.start_api().await;
    let blocking = block_ingest(&app).await;
    let mut large = text("wamid.1");
    large.push_str(&" ".repeat(limit - large.len()));
    let first = send(&app, &large);
    until_blocked(&app).await;
    assert_try_again(&send(&app, &text("wamid.2")).await.unwrap());
    blocking.rollback().await.unwrap();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(app.webhook(&text("wamid.2")).await, 200);
    assert_eq!(app.db.count("SELECT count(*) FROM raw_webhook_events").await, 2);
}

#[tokio::test]
async fn a_webhook_that_was_given_up_because_the_database_was_slow_is_one_message_when_it_comes_again() {
    let app = App::start().await;
    let blocking = block_ingest(&app).await;
    assert_try_again(&send(&app, &text("wamid.1")).await.unwrap());
    blocking.rollback().await.unwrap();
    until("webhooks are taken again", async || app.webhook(&text("wamid.1")).await == 200).await;
    app.drain().await;
    assert_eq!(app.db.texts("SELECT unread_count::text FROM chat_conversations").await, ["1"]);
}

#[tokio::test]
async fn health_says_what_is_up_and_goes_on_without_redis() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.start_api().await;
    let (code, body) = health(&app).await;
    let mut fields: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!((code, fields), (200, vec!["db", "redis", "status", "timestamp", "uptime"]));
    assert!(body["uptime"].is_u64() && body["timestamp"].as_str().unwrap().ends_with('Z'), "{body}");
    until_health(&app, 200, "ok", "up", "up").await;
    app.redis.stop();
    until_health(&app, 200, "degraded", "up", "down").await;
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    app.redis.restart().await;
    until_health(&app, 200, "ok", "up", "up").await;
}

#[tokio::test]
async fn an_installation_without_redis_is_healthy() {
    let mut app = App::without_processes(Database::create().await, &[("DISPATCH", "local")]).await;
    app.redis.stop();
    app.start_api().await;
    until_health(&app, 200, "ok", "up", "unused").await;
}

#[tokio::test]
async fn metrics_count_what_was_taken_and_what_was_refused_and_why() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.start_api().await;
    for n in 0..3 {
        assert_eq!(app.webhook(&text(&format!("wamid.{n}"))).await, 200);
    }
    assert_eq!(app.http.post(app.url("/api/webhook")).body("unsigned").send().await.unwrap().status().as_u16(), 401);
    assert_eq!(app.webhook(&"x".repeat(3 * 1024 * 1024 + 1)).await, 413);
    let answer = app.http.get(app.url("/metrics")).send().await.unwrap();
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let text = answer.text().await.unwrap();
    for (series, expected) in [
        ("switchboard_webhooks_accepted_total", "3"),
        ("switchboard_webhook_ack_seconds_count", "3"),
        ("switchboard_webhooks_refused_total{reason=\"signature\"}", "1"),
        ("switchboard_webhooks_refused_total{reason=\"too_large\"}", "1"),
    ] {
        assert_eq!(value(&text, series), expected, "{series} in\n{text}");
    }
}

#[tokio::test]
async fn a_worker_serves_its_metrics_on_a_port_of_its_own() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.start_api().await;
    let port = free_port();
    app.set("METRICS_PORT", &port.to_string());
    app.start_worker(&[]).await;
    deliver(&app, &text("wamid.1")).await;
    let text = metrics(&app, port).await;
    assert_eq!(value(&text, "switchboard_messages_written_total"), "1", "{text}");
    assert!(text.lines().any(|line| line.starts_with("switchboard_jobs_run_total{") && line.contains("process_webhook")), "{text}");
}

#[tokio::test]
async fn with_a_port_of_their_own_metrics_are_not_on_the_public_one() {
    let port = free_port();
    let mut app = App::without_processes(Database::create().await, &[("METRICS_PORT", &port.to_string())]).await;
    app.start_api().await;
    assert_eq!(app.webhook(&text("wamid.1")).await, 200);
    assert_eq!(app.http.get(app.url("/metrics")).send().await.unwrap().status().as_u16(), 404);
    assert_eq!(value(&metrics(&app, port).await, "switchboard_webhooks_accepted_total"), "1");
}

/// Bodies of all kinds of failures that a stranger can cause.
async fn failures(app: &App) -> Vec<Value> {
    let (webhook, handshake) = (app.url("/api/webhook"), app.url("/api/webhook?hub.mode=subscribe&hub.verify_token=x&hub.challenge=1"));
    let requests = [
        app.http.post(&webhook).body("{}"),
        app.http.post(&webhook).body("{}").header("x-hub-signature-256", "sha256=zz"),
        app.http.post(&webhook).body("x".repeat(3 * 1024 * 1024 + 1)),
        app.http.get(handshake),
        app.http.delete(&webhook),
        app.http.get(app.url("/nowhere")),
    ];
    let mut bodies = Vec::new();
    for request in requests {
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_client_error(), "{}", answer.status());
        bodies.push(serde_json::from_str(&answer.text().await.unwrap()).unwrap());
    }
    bodies.push(serde_json::from_str(&send(app, &text("wamid.1")).await.unwrap().body).unwrap());
    bodies
}

#[tokio::test]
async fn errors_show_their_details_in_development_only() {
    for (development, environment) in [(false, "production"), (true, "development")] {
        // A database that is not there.
        let nowhere = format!("postgres://somebody:secret@127.0.0.1:{}/none", free_port());
        let mut app = App::without_processes(Database::create().await, &[("APP_ENV", environment)]).await;
        app.set("DATABASE_URL", &nowhere);
        app.start_api().await;
        let bodies = failures(&app).await;
        assert_eq!(bodies.iter().any(|body| body.get("error").is_some()), development, "{bodies:#?}");
        let shown = json!(bodies).to_string().to_lowercase();
        for internal in ["sqlx", "postgres", "127.0.0.1", "secret@", "src/", "panicked", "token of the tests"] {
            assert!(!shown.contains(internal), "{internal} in {shown}");
        }
    }
}

/// Before its signature is checked a body may come from anybody, so those that are still being read count as well.
#[tokio::test]
async fn bodies_that_are_still_being_read_fill_the_inbox_too() {
    let limit = 3 * 1024 * 1024;
    let mut app = App::without_processes(Database::create().await, &[("INBOX_MAX_BYTES", &limit.to_string())]).await;
    app.start_api().await;
    let mut slow = TcpStream::connect(("127.0.0.1", app.port)).await.unwrap();
    let head = format!("POST /api/webhook HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n", limit - 1024);
    slow.write_all(head.as_bytes()).await.unwrap();
    // It says so when it begins to read the body.
    let mut go_on = [0; 12];
    slow.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100");
    let mut large = text("wamid.1");
    large.push_str(&" ".repeat(limit / 2));
    // The refusal may close the connection before all of the body is sent.
    assert_ne!(app.try_webhook(&large).await, Some(200), "there is no room beside the one that is being read");
    until("a small one still fits", async || app.try_webhook(&text("wamid.2")).await == Some(200)).await;
    drop(slow);
    until("its room is free again", async || app.try_webhook(&large).await == Some(200)).await;
    app.start_worker(&[]).await;
    app.drain().await;
    assert_eq!(app.db.texts("SELECT external_id FROM chat_messages ORDER BY 1").await, ["wamid.1", "wamid.2"]);
}
