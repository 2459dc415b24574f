//! The order of messages in a conversation, and what a list of conversations shows of it.

use super::deliver;
use crate::harness::{App, Database, OTHER_PHONE_NUMBER_ID, change, echo, message, messages, status, until};
use serde_json::{Value, json};

const MARA: &str = "15551230001";

fn words(id: &str, at: u32) -> Value {
    message(MARA, id, at, "text", json!({"body": id}))
}

async fn order(app: &App) -> Vec<String> {
    app.db.texts("SELECT external_id FROM chat_messages ORDER BY sent_at, id").await
}

#[tokio::test]
async fn messages_are_in_the_order_of_the_providers_time_whenever_they_arrive() {
    let app = App::start().await;
    for (id, at) in [("wamid.c", 30), ("wamid.a", 10), ("wamid.d", 40), ("wamid.b", 20)] {
        deliver(&app, &messages(&[words(id, at)])).await;
    }
    assert_eq!(order(&app).await, ["wamid.a", "wamid.b", "wamid.c", "wamid.d"]);
}

#[tokio::test]
async fn messages_of_one_second_are_in_the_order_of_arrival() {
    let app = App::start().await;
    deliver(&app, &messages(&[words("wamid.z", 10), words("wamid.m", 10), words("wamid.a", 10)])).await;
    deliver(&app, &messages(&[words("wamid.y", 10), words("wamid.b", 10)])).await;
    assert_eq!(order(&app).await, ["wamid.z", "wamid.m", "wamid.a", "wamid.y", "wamid.b"]);
}

#[tokio::test]
async fn webhooks_that_wait_in_one_batch_keep_the_order_of_arrival() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.start_api().await;
    let ids: Vec<String> = (0..60).map(|n| format!("wamid.{:03}", n * 37 % 60)).collect();
    for id in &ids {
        assert_eq!(app.webhook(&messages(&[words(id, 10)])).await, 200);
    }
    app.start_worker(&[]).await;
    app.drain().await;
    assert_eq!(order(&app).await, ids);
}

#[tokio::test]
async fn a_webhook_whose_job_is_late_still_comes_before_what_arrived_after_it() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.start_api().await;
    assert_eq!(app.webhook(&messages(&[words("wamid.first", 10)])).await, 200);
    // As if it waited for a retry.
    app.db.run("UPDATE jobs SET run_at = now() + interval '1 day'").await;
    app.start_worker(&[]).await;
    deliver(&app, &messages(&[words("wamid.second", 10)])).await;
    app.db.run("UPDATE jobs SET run_at = now()").await;
    app.drain().await;
    assert_eq!(order(&app).await, ["wamid.first", "wamid.second"]);
}

#[tokio::test]
async fn an_impossible_time_is_replaced_by_the_time_of_arrival() {
    let app = App::start().await;
    let times = [
        json!(null),
        json!("0"),
        json!("-5"),
        json!(""),
        json!("soon"),
        json!("4102444800"),
        json!("99999999999999999999"),
        json!({}),
        json!(1e300),
    ];
    let elements: Vec<Value> = times
        .iter()
        .enumerate()
        .map(|(n, time)| {
            let mut element = words(&format!("wamid.{n}"), 0);
            element["timestamp"] = time.clone();
            element
        })
        .collect();
    deliver(&app, &messages(&elements)).await;
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages m JOIN raw_webhook_events e ON m.sent_at = e.received_at").await, 9);
    assert_eq!(
        app.db.count("SELECT count(*) FROM chat_conversations v JOIN raw_webhook_events e ON v.last_message_at = e.received_at").await,
        1
    );
}

#[tokio::test]
async fn a_time_may_be_a_number_too() {
    let app = App::start().await;
    let mut element = words("wamid.1", 0);
    element["timestamp"] = json!(1_760_000_000);
    deliver(&app, &messages(&[element])).await;
    assert_eq!(app.db.text("SELECT (sent_at AT TIME ZONE 'utc')::text FROM chat_messages").await, "2025-10-09 08:53:20");
}

#[tokio::test]
async fn a_conversation_is_as_new_as_its_newest_message_even_if_older_ones_arrive_later() {
    let app = App::start().await;
    let shown = async || app.db.text("SELECT (last_message_at AT TIME ZONE 'utc')::text FROM chat_conversations").await;
    deliver(&app, &messages(&[words("wamid.b", 20), words("wamid.a", 10)])).await;
    assert_eq!(shown().await, "2025-10-09 08:53:40");
    deliver(&app, &messages(&[words("wamid.c", 5)])).await;
    assert_eq!(shown().await, "2025-10-09 08:53:40");
    deliver(&app, &messages(&[words("wamid.d", 20)])).await;
    assert_eq!(shown().await, "2025-10-09 08:53:40");
    deliver(&app, &messages(&[words("wamid.e", 30)])).await;
    assert_eq!(shown().await, "2025-10-09 08:53:50");
}

#[tokio::test]
async fn only_new_messages_of_the_customer_are_unread() {
    let app = App::start().await;
    let first = messages(&[words("wamid.1", 1), words("wamid.1", 1), words("wamid.2", 2)]);
    deliver(&app, &first).await;
    deliver(&app, &first).await;
    deliver(&app, &echo(MARA, "wamid.echo")).await;
    deliver(&app, &status("wamid.echo", "delivered")).await;
    deliver(&app, &messages(&[message(MARA, "wamid.3", 3, "reaction", json!({"message_id": "wamid.echo", "emoji": "👍"}))])).await;
    deliver(&app, &messages(&[message(MARA, "wamid.4", 4, "revoke", json!({"original_message_id": "wamid.1"}))])).await;
    assert_eq!(app.db.texts("SELECT unread_count::text FROM chat_conversations").await, ["2"]);
    deliver(&app, &messages(&[words("wamid.2", 2), words("wamid.5", 5)])).await;
    assert_eq!(app.db.texts("SELECT unread_count::text FROM chat_conversations").await, ["3"]);
}

#[tokio::test]
async fn the_same_message_id_on_another_channel_is_another_message() {
    let app = App::start().await;
    deliver(&app, &messages(&[words("wamid.1", 1)])).await;
    deliver(&app, &change(OTHER_PHONE_NUMBER_ID, &json!({"messages": [words("wamid.1", 1)]}))).await;
    assert_eq!(app.db.texts("SELECT tenant_id || ' ' || unread_count FROM chat_conversations ORDER BY 1").await, ["1 1", "2 1"]);
}

#[tokio::test]
async fn one_message_delivered_many_times_at_once_is_one_message() {
    let mut app = App::start().await;
    app.start_worker(&[]).await;
    let body = messages(&[words("wamid.1", 1)]);
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let request = app.http.post(app.url("/api/webhook")).header("x-hub-signature-256", crate::harness::sign(&body)).body(body.clone());
        sending.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    assert_eq!(sending.join_all().await, [200; 40]);
    app.drain().await;
    until("all is counted", async || app.db.count("SELECT count(*) FROM raw_webhook_events").await == 40).await;
    assert_eq!(app.db.texts("SELECT unread_count::text FROM chat_conversations").await, ["1"]);
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await, 1);
}
