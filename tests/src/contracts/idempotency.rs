//! Requests that are repeated under one Idempotency-Key.

use super::{inbox, receive};
use crate::harness::{Answer, App, User};
use serde_json::{Value, json};

async fn send(app: &App, user: &User, key: &str, text: &str) -> Answer {
    let body = json!({"to": "+15551230001", "type": "text", "content": {"text": text}});
    app.send(app.request("POST", "/api/messages").bearer_auth(&user.token).header("idempotency-key", key).json(&body)).await
}

async fn sent(app: &App) -> i64 {
    app.db.count("SELECT count(*) FROM chat_messages WHERE direction = 'outbound'").await
}

#[tokio::test]
async fn a_repeated_request_is_done_once_and_answered_alike() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    receive(&app, "15551230001", "wamid.1", "hello").await;
    let first = send(&app, &ann, "key 1", "hi").await.expect(201);
    let again = send(&app, &ann, "key 1", "hi").await.expect(201);
    assert_eq!((first, sent(&app).await), (again, 1));
    assert_eq!(app.db.count("SELECT count(*) FROM jobs WHERE queue = 'outbound'").await, 1);
    send(&app, &ann, "key 2", "hi").await.expect(201);
    assert_eq!(sent(&app).await, 2);
}

#[tokio::test]
async fn of_repeated_requests_that_come_at_once_one_is_done() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    receive(&app, "15551230001", "wamid.1", "hello").await;
    let answers = futures::future::join_all((0..8).map(|_| send(&app, &ann, "key", "hi"))).await;
    let bodies: Vec<Value> = answers.into_iter().map(|answer| answer.expect(201)).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    assert_eq!(sent(&app).await, 1);
}

#[tokio::test]
async fn a_key_is_good_for_one_request_of_one_user() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    let bob = app.colleague(&ann, "bob", "agent").await;
    receive(&app, "15551230001", "wamid.1", "hello").await;
    send(&app, &ann, "key", "hi").await.expect(201);
    let other_body = send(&app, &ann, "key", "ho").await;
    assert_eq!((other_body.status, &other_body.body["success"]), (409, &json!(false)));
    assert_eq!(send(&app, &bob, "key", "hi").await.status, 409);
    let other = app.register("eve").await;
    app.whatsapp_channel(&other, "106540352242933").await;
    assert_ne!(send(&app, &other, "key", "hi").await.status, 409, "another tenant's keys are its own");
    assert_eq!(sent(&app).await, 1);
}

#[tokio::test]
async fn a_request_that_failed_leaves_its_key_free() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    send(&app, &ann, "key", "hi").await.expect(400);
    receive(&app, "15551230001", "wamid.1", "hello").await;
    send(&app, &ann, "key", "hi").await.expect(201);
    send(&app, &ann, &"k".repeat(256), "hi").await.expect(400);
}

#[tokio::test]
async fn a_key_is_kept_with_the_effects_or_not_at_all() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    receive(&app, "15551230001", "wamid.1", "hello").await;
    // The job's row cannot be written, so the transaction fails after the message was.
    app.db.run("ALTER TABLE jobs ADD CONSTRAINT no_sends CHECK (queue <> 'outbound')").await;
    assert_ne!(send(&app, &ann, "key", "hi").await.status, 201);
    assert_eq!((sent(&app).await, app.db.count("SELECT count(*) FROM idempotency_keys").await), (0, 0));
    app.db.run("ALTER TABLE jobs DROP CONSTRAINT no_sends").await;
    send(&app, &ann, "key", "hi").await.expect(201);
    assert_eq!(sent(&app).await, 1);
}
