//! Two names turn out to be one person's: one customer remains, in one conversation, and every older name and id goes on resolving.

use super::deliver;
use crate::harness::{App, Database, PHONE_NUMBER_ID, change, message, messages, until};
use serde_json::{Value, json};

const PHONE: &str = "15551230001";
const NEW_PHONE: &str = "15551239999";
const USER: &str = "US.1";

fn words(from: &str, id: &str) -> Value {
    message(from, id, 0, "text", json!({"body": id}))
}

/// A message that shows both names of its sender.
fn both(id: &str) -> Value {
    let mut message = words(PHONE, id);
    message["from_user_id"] = json!(USER);
    message
}

fn number_changed(id: &str, old: &str, new: &str) -> String {
    number_changed_at(50, id, old, new)
}

fn number_changed_at(second: u32, id: &str, old: &str, new: &str) -> String {
    let notice = json!({"type": "user_changed_number", "body": "changed the number", "wa_id": new});
    messages(&[message(old, id, second, "system", notice)])
}

/// What remains: the customer (phone and names on channels), the open conversation (unread and messages).
async fn remaining(app: &App) -> Vec<String> {
    app.db
        .texts(
            "SELECT concat_ws(' ', c.phone_number, (SELECT string_agg(i.external_id, ',' ORDER BY i.external_id) FROM customer_identities i WHERE i.customer_id = c.id),
                    v.unread_count, (SELECT string_agg(m.external_id, ',' ORDER BY m.external_id) FROM chat_messages m WHERE m.conversation_id = v.id))
             FROM customers c LEFT JOIN chat_conversations v ON v.customer_id = c.id AND v.status <> 'closed'
             WHERE c.merged_into IS NULL ORDER BY 1",
        )
        .await
}

#[tokio::test]
async fn phone_then_user_id_then_both_are_one_person_in_one_conversation() {
    let app = App::start().await;
    deliver(&app, &messages(&[words(PHONE, "wamid.1")])).await;
    deliver(&app, &messages(&[words(USER, "wamid.2")])).await;
    assert_eq!(remaining(&app).await, ["+15551230001 15551230001 1 wamid.1", "US.1 1 wamid.2"]);
    deliver(&app, &messages(&[both("wamid.3")])).await;
    assert_eq!(remaining(&app).await, ["+15551230001 15551230001,US.1 3 wamid.1,wamid.2,wamid.3"]);
    assert_eq!(
        app.db.texts("SELECT concat_ws(' ', o.status, o.merged_into = n.id, o.customer_id = n.customer_id) FROM chat_conversations o, chat_conversations n WHERE o.merged_into IS NOT NULL AND n.merged_into IS NULL").await,
        ["closed t t"]
    );
    assert_eq!(
        app.db.count("SELECT count(*) FROM customers o JOIN customers n ON n.id = o.merged_into WHERE n.merged_into IS NULL").await,
        1
    );
}

#[tokio::test]
async fn after_a_merge_a_message_by_either_name_lands_in_the_same_conversation() {
    let mut app = App::start().await;
    deliver(&app, &messages(&[words(PHONE, "wamid.1")])).await;
    deliver(&app, &messages(&[words(USER, "wamid.2")])).await;
    deliver(&app, &messages(&[both("wamid.3")])).await;
    deliver(&app, &messages(&[words(USER, "wamid.4")])).await;
    deliver(&app, &messages(&[words(PHONE, "wamid.5")])).await;
    assert_eq!(remaining(&app).await, ["+15551230001 15551230001,US.1 5 wamid.1,wamid.2,wamid.3,wamid.4,wamid.5"]);
    app.workers[0].terminate();
    app.start_worker(&[]).await;
    deliver(&app, &messages(&[words(USER, "wamid.6"), words(PHONE, "wamid.7")])).await;
    assert_eq!(remaining(&app).await, ["+15551230001 15551230001,US.1 7 wamid.1,wamid.2,wamid.3,wamid.4,wamid.5,wamid.6,wamid.7"]);
}

#[tokio::test]
async fn a_worker_that_remembers_the_time_before_the_merge_notices_it() {
    let mut app = App::start().await;
    deliver(&app, &messages(&[words(PHONE, "wamid.1")])).await;
    deliver(&app, &messages(&[words(USER, "wamid.2")])).await;
    app.workers[0].signal("STOP");
    app.start_worker(&[]).await;
    deliver(&app, &messages(&[both("wamid.3")])).await;
    app.workers[1].terminate();
    app.workers[0].signal("CONT");
    deliver(&app, &messages(&[words(USER, "wamid.4")])).await;
    deliver(&app, &messages(&[words(PHONE, "wamid.5")])).await;
    assert_eq!(remaining(&app).await, ["+15551230001 15551230001,US.1 5 wamid.1,wamid.2,wamid.3,wamid.4,wamid.5"]);
}

#[tokio::test]
async fn the_phone_number_goes_to_the_older_customer_when_the_user_id_came_first() {
    let app = App::start().await;
    deliver(&app, &messages(&[words(USER, "wamid.1")])).await;
    deliver(&app, &messages(&[words(PHONE, "wamid.2")])).await;
    deliver(&app, &messages(&[both("wamid.3")])).await;
    deliver(&app, &messages(&[words(PHONE, "wamid.4")])).await;
    assert_eq!(remaining(&app).await, ["+15551230001 15551230001,US.1 4 wamid.1,wamid.2,wamid.3,wamid.4"]);
}

#[tokio::test]
async fn a_user_id_that_shows_its_phone_later_is_the_same_customer() {
    let app = App::start().await;
    deliver(&app, &messages(&[words(USER, "wamid.1")])).await;
    deliver(&app, &messages(&[both("wamid.2")])).await;
    assert_eq!(remaining(&app).await, ["+15551230001 15551230001,US.1 2 wamid.1,wamid.2"]);
    assert_eq!(app.db.count("SELECT count(*) FROM customers").await, 1);
}

#[tokio::test]
async fn both_names_in_one_batch_make_one_person() {
    let mut app = App::without_processes(Database::create().await, &[]).await;
    app.start_api().await;
    for element in [words(PHONE, "wamid.1"), words(USER, "wamid.2"), both("wamid.3"), words(USER, "wamid.4")] {
        assert_eq!(app.webhook(&messages(&[element])).await, 200);
    }
    app.start_worker(&[]).await;
    app.drain().await;
    assert_eq!(remaining(&app).await, ["+15551230001 15551230001,US.1 4 wamid.1,wamid.2,wamid.3,wamid.4"]);
}

#[tokio::test]
async fn many_messages_by_all_names_at_once_end_as_one_person() {
    let mut app = App::start().await;
    app.start_worker(&[]).await;
    let mut sending = tokio::task::JoinSet::new();
    for n in 0..60 {
        let id = format!("wamid.{n}");
        let body = messages(&[match n % 3 {
            0 => words(PHONE, &id),
            1 => words(USER, &id),
            _ => both(&id),
        }]);
        let request = app.http.post(app.url("/api/webhook")).header("x-hub-signature-256", crate::harness::sign(&body)).body(body);
        sending.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    assert_eq!(sending.join_all().await, [200; 60]);
    app.drain().await;
    assert_eq!(app.db.count("SELECT count(*) FROM customers WHERE merged_into IS NULL").await, 1);
    assert_eq!(app.db.texts("SELECT status || ' ' || unread_count FROM chat_conversations WHERE merged_into IS NULL").await, ["open 60"]);
    assert_eq!(
        app.db
            .count("SELECT count(*) FROM chat_messages m JOIN chat_conversations v ON v.id = m.conversation_id AND v.status = 'open'")
            .await,
        60
    );
}

#[tokio::test]
async fn a_merge_keeps_the_later_override_which_still_expires() {
    let mut app = App::start().await;
    deliver(&app, &messages(&[words(PHONE, "wamid.1")])).await;
    deliver(&app, &messages(&[words(USER, "wamid.2")])).await;
    let now = app.db.text("SELECT extract(epoch FROM now())::int8::text").await;
    let echo = json!({"from": "15550001111", "to_user_id": USER, "id": "wamid.echo", "timestamp": now, "type": "text", "text": {"body": "I will help"}});
    let value = json!({"metadata": {"phone_number_id": PHONE_NUMBER_ID}, "message_echoes": [echo]});
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "900", "changes": [{"field": "smb_message_echoes", "value": value}]}]});
    deliver(&app, &body.to_string()).await;
    deliver(&app, &messages(&[both("wamid.3")])).await;
    let overridden =
        "SELECT count(*) FROM chat_conversations WHERE human_override_until IS NOT NULL AND status = 'open' AND human_epoch = 1";
    assert_eq!(app.db.count(overridden).await, 1);
    let name = app.db.text("SELECT current_database()::text").await;
    app.db.run(&format!("ALTER DATABASE {name} SET switchboard.clock_offset = '25 hours'")).await;
    app.workers[0].terminate();
    app.start_worker(&[]).await;
    until("the override's job is done", async || app.db.count("SELECT count(*) FROM jobs WHERE kind = 'expire_override'").await == 0).await;
    assert_eq!(app.db.count(overridden).await, 0);
}

#[tokio::test]
async fn a_merge_keeps_the_person_to_whom_a_conversation_is_assigned() {
    let app = App::start().await;
    deliver(&app, &messages(&[words(PHONE, "wamid.1")])).await;
    deliver(&app, &messages(&[words(USER, "wamid.2")])).await;
    let agent = "00000000-0000-7000-8000-000000000001";
    app.db.run(&format!("INSERT INTO users (tenant_id, id, username, name, role) VALUES (1, '{agent}', 'agent', 'Agent', 'agent')")).await;
    app.db.run(&format!("UPDATE chat_conversations v SET assigned_to = '{agent}' FROM chat_messages m WHERE m.conversation_id = v.id AND m.external_id = 'wamid.2'")).await;
    deliver(&app, &messages(&[both("wamid.3")])).await;
    assert_eq!(app.db.texts("SELECT assigned_to::text FROM chat_conversations WHERE status = 'open'").await, [agent]);
}

#[tokio::test]
async fn a_merge_of_a_snoozed_and_an_open_conversation_is_open() {
    let app = App::start().await;
    deliver(&app, &messages(&[words(PHONE, "wamid.1")])).await;
    app.db.run("UPDATE chat_conversations SET status = 'snoozed'").await;
    deliver(&app, &messages(&[words(NEW_PHONE, "wamid.2")])).await;
    deliver(&app, &number_changed("wamid.3", PHONE, NEW_PHONE)).await;
    assert_eq!(app.db.texts("SELECT status FROM chat_conversations WHERE merged_into IS NULL").await, ["open"]);
}

#[tokio::test]
async fn after_several_merges_every_older_id_leads_to_what_remains_in_one_step() {
    let app = App::start().await;
    deliver(&app, &messages(&[words(NEW_PHONE, "wamid.1")])).await;
    deliver(&app, &messages(&[words(PHONE, "wamid.2")])).await;
    deliver(&app, &messages(&[words(USER, "wamid.3")])).await;
    deliver(&app, &messages(&[both("wamid.4")])).await;
    deliver(&app, &number_changed("wamid.5", PHONE, NEW_PHONE)).await;
    assert_eq!(remaining(&app).await, ["+15551239999 15551230001,15551239999,US.1 4 wamid.1,wamid.2,wamid.3,wamid.4,wamid.5"]);
    for table in ["customers", "chat_conversations"] {
        let resolved = format!("SELECT count(*) FROM {table} o JOIN {table} n ON n.id = o.merged_into AND n.merged_into IS NULL");
        assert_eq!(app.db.count(&resolved).await, 2, "{table}");
    }
}

#[tokio::test]
async fn a_new_number_goes_on_in_the_same_conversation_and_the_old_one_still_resolves() {
    let app = App::start().await;
    deliver(&app, &messages(&[words(PHONE, "wamid.1")])).await;
    deliver(&app, &number_changed("wamid.2", PHONE, NEW_PHONE)).await;
    assert_eq!(remaining(&app).await, ["+15551239999 15551230001,15551239999 1 wamid.1,wamid.2"]);
    deliver(&app, &messages(&[words(NEW_PHONE, "wamid.3")])).await;
    deliver(&app, &messages(&[words(PHONE, "wamid.4")])).await;
    assert_eq!(remaining(&app).await, ["+15551239999 15551230001,15551239999 3 wamid.1,wamid.2,wamid.3,wamid.4"]);
}

#[tokio::test]
async fn a_new_number_that_wrote_before_is_merged_into_the_older_customer() {
    let app = App::start().await;
    deliver(&app, &messages(&[words(PHONE, "wamid.1")])).await;
    deliver(&app, &messages(&[words(NEW_PHONE, "wamid.2")])).await;
    deliver(&app, &number_changed("wamid.3", PHONE, NEW_PHONE)).await;
    assert_eq!(remaining(&app).await, ["+15551239999 15551230001,15551239999 2 wamid.1,wamid.2,wamid.3"]);
}

#[tokio::test]
async fn an_older_change_of_number_that_is_delivered_again_does_not_bring_the_older_number_back() {
    let app = App::start().await;
    deliver(&app, &messages(&[words(PHONE, "wamid.1")])).await;
    deliver(&app, &number_changed("wamid.2", PHONE, NEW_PHONE)).await;
    deliver(&app, &number_changed_at(51, "wamid.3", NEW_PHONE, "15551238888")).await;
    deliver(&app, &number_changed("wamid.2", PHONE, NEW_PHONE)).await;
    assert_eq!(app.db.texts("SELECT phone_number FROM customers WHERE merged_into IS NULL").await, ["+15551238888"]);
}

#[tokio::test]
async fn a_name_that_a_contact_card_of_another_number_shows_merges_nobody() {
    let app = App::start().await;
    deliver(&app, &messages(&[words(PHONE, "wamid.1")])).await;
    deliver(&app, &messages(&[words(USER, "wamid.2")])).await;
    let contacts = json!([{"wa_id": NEW_PHONE, "user_id": USER, "profile": {"name": "Somebody"}}]);
    deliver(&app, &change(PHONE_NUMBER_ID, &json!({"contacts": contacts, "messages": [words(PHONE, "wamid.3")]}))).await;
    assert_eq!(remaining(&app).await, ["+15551230001 15551230001 2 wamid.1,wamid.3", "US.1 1 wamid.2"]);
}

#[tokio::test]
async fn two_conversations_that_wait_for_a_person_wait_as_one() {
    let app = App::start().await;
    deliver(&app, &messages(&[words(PHONE, "wamid.1")])).await;
    deliver(&app, &messages(&[words(USER, "wamid.2")])).await;
    app.db
        .run(
            "INSERT INTO escalations (tenant_id, id, conversation_id, raised_by, reason)
             SELECT tenant_id, gen_random_uuid(), id, 'person', 'x' FROM chat_conversations",
        )
        .await;
    deliver(&app, &messages(&[both("wamid.3")])).await;
    let waits = "SELECT concat_ws(' ', v.status, v.merged_into IS NULL, e.resolved_at IS NULL) FROM escalations e
                 JOIN chat_conversations v ON v.tenant_id = e.tenant_id AND v.id = e.conversation_id ORDER BY e.resolved_at IS NULL";
    assert_eq!(app.db.texts(waits).await, ["open t f", "open t t"]);
}
