//! Who wrote: customers, how channels name them, and their conversations. Two names of one person: `merging`.

use super::deliver;
use crate::harness::{App, OTHER_PHONE_NUMBER_ID, PHONE_NUMBER_ID, change, echo, message, messages, text_from};
use serde_json::{Value, json};

const MARA: &str = "15551230001";
const SECOND_CHANNEL: &str = "100200300400599";

fn words(from: &str, id: &str) -> Value {
    message(from, id, 0, "text", json!({"body": id}))
}

/// A text of somebody who shows a name.
fn named(name: &str, id: &str, at: u32) -> String {
    let contact = json!({"wa_id": MARA, "profile": {"name": name}});
    change(PHONE_NUMBER_ID, &json!({"contacts": [contact], "messages": [message(MARA, id, at, "text", json!({"body": id}))]}))
}

/// Each conversation with its customer's phone and the ids of its messages.
async fn conversations(app: &App) -> Vec<String> {
    app.db
        .texts(
            "SELECT concat_ws(' ', v.tenant_id, v.status, c.phone_number, (SELECT string_agg(m.external_id, ',' ORDER BY m.external_id)
                    FROM chat_messages m WHERE m.tenant_id = v.tenant_id AND m.conversation_id = v.id))
             FROM chat_conversations v JOIN customers c ON c.tenant_id = v.tenant_id AND c.id = v.customer_id ORDER BY 1",
        )
        .await
}

async fn names(app: &App) -> Vec<String> {
    app.db.texts("SELECT name FROM customers").await
}

/// The worker forgets what it has cached.
async fn restart_worker(app: &mut App) {
    app.workers[0].terminate();
    app.start_worker(&[]).await;
}

#[tokio::test]
async fn a_person_known_by_phone_only_has_one_conversation() {
    let app = App::start().await;
    deliver(&app, &messages(&[words(MARA, "wamid.1")])).await;
    deliver(&app, &messages(&[words(MARA, "wamid.2")])).await;
    assert_eq!(conversations(&app).await, ["1 open +15551230001 wamid.1,wamid.2"]);
    assert_eq!(app.db.texts("SELECT external_id FROM customer_identities").await, [MARA]);
}

#[tokio::test]
async fn a_person_known_by_user_id_only_has_no_phone_number() {
    let app = App::start().await;
    deliver(&app, &messages(&[words("US.1", "wamid.1")])).await;
    deliver(&app, &messages(&[words("US.1", "wamid.2")])).await;
    assert_eq!(conversations(&app).await, ["1 open wamid.1,wamid.2"]);
    assert_eq!(app.db.texts("SELECT external_id FROM customer_identities").await, ["US.1"]);
}

#[tokio::test]
async fn a_phone_on_two_channels_of_a_tenant_is_one_customer_with_two_conversations() {
    let app = App::start().await;
    app.db
        .run(&format!(
            "INSERT INTO channel_instances (tenant_id, type, external_id, name) VALUES (1, 'WHATSAPP', '{SECOND_CHANNEL}', 'second')"
        ))
        .await;
    deliver(&app, &messages(&[words(MARA, "wamid.1")])).await;
    deliver(&app, &change(SECOND_CHANNEL, &json!({"messages": [words(MARA, "wamid.2")]}))).await;
    assert_eq!(conversations(&app).await, ["1 open +15551230001 wamid.1", "1 open +15551230001 wamid.2"]);
    assert_eq!(app.db.count("SELECT count(*) FROM customers").await, 1);
    assert_eq!(app.db.count("SELECT count(*) FROM customer_identities").await, 2);
}

#[tokio::test]
async fn a_phone_that_writes_to_two_tenants_is_two_customers() {
    let app = App::start().await;
    deliver(&app, &messages(&[words(MARA, "wamid.1")])).await;
    deliver(&app, &change(OTHER_PHONE_NUMBER_ID, &json!({"messages": [words(MARA, "wamid.2")]}))).await;
    assert_eq!(conversations(&app).await, ["1 open +15551230001 wamid.1", "2 open +15551230001 wamid.2"]);
    assert_eq!(app.db.count("SELECT count(*) FROM customers").await, 2);
}

#[tokio::test]
async fn the_name_of_a_customer_follows_the_profile() {
    let mut app = App::start().await;
    deliver(&app, &messages(&[words(MARA, "wamid.0")])).await;
    assert_eq!(names(&app).await, ["NULL"]);
    deliver(&app, &named("Mara", "wamid.1", 10)).await;
    deliver(&app, &named("Mara Lind", "wamid.2", 20)).await;
    assert_eq!(names(&app).await, ["Mara Lind"]);
    restart_worker(&mut app).await;
    deliver(&app, &named("Mara L.", "wamid.3", 30)).await;
    deliver(&app, &messages(&[words(MARA, "wamid.4")])).await;
    assert_eq!(names(&app).await, ["Mara L."]);
}

#[tokio::test]
async fn an_old_webhook_that_is_delivered_again_does_not_bring_the_old_name_back() {
    let app = App::start().await;
    deliver(&app, &named("Mara", "wamid.1", 10)).await;
    deliver(&app, &named("Mara Lind", "wamid.2", 20)).await;
    deliver(&app, &named("Mara", "wamid.1", 10)).await;
    assert_eq!(names(&app).await, ["Mara Lind"]);
}

#[tokio::test]
async fn many_first_messages_of_one_new_person_at_once_make_one_customer_and_one_conversation() {
    let mut app = App::start().await;
    app.start_worker(&[]).await;
    let mut sending = tokio::task::JoinSet::new();
    for n in 0..60 {
        let body = text_from(MARA, &format!("wamid.{n}"), "hi");
        let request = app.http.post(app.url("/api/webhook")).header("x-hub-signature-256", crate::harness::sign(&body)).body(body);
        sending.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    assert_eq!(sending.join_all().await, [200; 60]);
    app.drain().await;
    assert_eq!(app.db.count("SELECT count(*) FROM customers").await, 1);
    assert_eq!(app.db.texts("SELECT status || ' ' || unread_count FROM chat_conversations").await, ["open 60"]);
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages m JOIN chat_conversations v ON v.id = m.conversation_id").await, 60);
}

#[tokio::test]
async fn many_new_people_at_once_have_a_customer_and_a_conversation_each() {
    let mut app = App::start().await;
    app.start_worker(&[]).await;
    let mut sending = tokio::task::JoinSet::new();
    for n in 0..60 {
        // Each body names three of twenty people, in different orders.
        let people = [n % 20, (n * 7 + 3) % 20, (n * 13 + 11) % 20];
        let elements: Vec<Value> =
            people.iter().enumerate().map(|(k, person)| words(&format!("1555000{person:04}"), &format!("wamid.{n}.{k}"))).collect();
        let body = messages(&elements);
        let request = app.http.post(app.url("/api/webhook")).header("x-hub-signature-256", crate::harness::sign(&body)).body(body);
        sending.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    assert_eq!(sending.join_all().await, [200; 60]);
    app.drain().await;
    assert_eq!(app.db.count("SELECT count(*) FROM customers").await, 20);
    assert_eq!(app.db.count("SELECT count(*) FROM chat_conversations WHERE status = 'open'").await, 20);
    assert_eq!(app.db.count("SELECT sum(unread_count)::int8 FROM chat_conversations").await, 180);
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages WHERE conversation_id IS NOT NULL").await, 180);
}

#[tokio::test]
async fn a_message_after_a_closed_conversation_opens_a_new_one() {
    let mut app = App::start().await;
    for (n, forgets) in [(1, false), (2, true)] {
        deliver(&app, &messages(&[words(MARA, &format!("wamid.{n}"))])).await;
        app.db.run("UPDATE chat_conversations SET status = 'closed', closed_at = now() WHERE status = 'open'").await;
        if forgets {
            restart_worker(&mut app).await;
        }
    }
    deliver(&app, &messages(&[words(MARA, "wamid.3")])).await;
    assert_eq!(
        conversations(&app).await,
        ["1 closed +15551230001 wamid.1", "1 closed +15551230001 wamid.2", "1 open +15551230001 wamid.3"]
    );
    assert_eq!(app.db.count("SELECT count(*) FROM customers").await, 1);
}

#[tokio::test]
async fn an_old_message_that_is_delivered_again_opens_no_conversation() {
    let mut app = App::start().await;
    deliver(&app, &messages(&[words(MARA, "wamid.1")])).await;
    app.db.run("UPDATE chat_conversations SET status = 'closed', closed_at = now(), unread_count = 0").await;
    deliver(&app, &messages(&[words(MARA, "wamid.1")])).await;
    restart_worker(&mut app).await;
    deliver(&app, &messages(&[words(MARA, "wamid.1")])).await;
    assert_eq!(conversations(&app).await, ["1 closed +15551230001 wamid.1"]);
    assert_eq!(app.db.texts("SELECT unread_count::text FROM chat_conversations").await, ["0"]);
}

#[tokio::test]
async fn an_old_message_beside_a_new_one_stays_in_its_closed_conversation() {
    let app = App::start().await;
    deliver(&app, &messages(&[words(MARA, "wamid.1")])).await;
    app.db.run("UPDATE chat_conversations SET status = 'closed', closed_at = now()").await;
    deliver(&app, &messages(&[words(MARA, "wamid.1"), words(MARA, "wamid.2")])).await;
    assert_eq!(conversations(&app).await, ["1 closed +15551230001 wamid.1", "1 open +15551230001 wamid.2"]);
}

#[tokio::test]
async fn a_snoozed_conversation_is_opened_by_a_message_of_the_customer_only() {
    let app = App::start().await;
    deliver(&app, &messages(&[words(MARA, "wamid.1")])).await;
    app.db.run("UPDATE chat_conversations SET status = 'snoozed'").await;
    deliver(&app, &echo(MARA, "wamid.echo")).await;
    deliver(&app, &messages(&[words(MARA, "wamid.1")])).await;
    deliver(&app, &messages(&[message(MARA, "wamid.r", 9, "reaction", json!({"message_id": "wamid.1", "emoji": "👍"}))])).await;
    assert_eq!(app.db.texts("SELECT status FROM chat_conversations").await, ["snoozed"]);
    deliver(&app, &messages(&[words(MARA, "wamid.2")])).await;
    assert_eq!(app.db.texts("SELECT status || ' ' || unread_count FROM chat_conversations").await, ["open 2"]);
}
