//! What customers do to messages: reactions, edits, revokes; in any order, also before the message.

use super::deliver;
use crate::harness::{App, message, messages, text};
use serde_json::{Value, json};

const MARA: &str = "15551230001";
const JON: &str = "15551230002";

fn reaction(by: &str, target: &str, at: u32, emoji: &str) -> String {
    messages(&[message(by, &format!("wamid.reaction.{at}.{emoji}"), at, "reaction", json!({"message_id": target, "emoji": emoji}))])
}

fn edit_element(target: &str, at: u32, words: &str) -> Value {
    let new = json!({"type": "text", "text": {"body": words}});
    message(MARA, &format!("wamid.edit.{at}"), at, "edit", json!({"original_message_id": target, "message": new}))
}

fn edit(target: &str, at: u32, words: &str) -> String {
    messages(&[edit_element(target, at, words)])
}

fn revoke(target: &str, at: u32) -> String {
    messages(&[message(MARA, &format!("wamid.revoke.{at}"), at, "revoke", json!({"original_message_id": target}))])
}

/// Who shows which reaction on a message.
async fn reactions(app: &App, target: &str) -> Vec<String> {
    let sql = format!(
        "SELECT key || ' ' || (value ->> 'emoji') FROM chat_messages, jsonb_each(reactions) WHERE external_id = '{target}' AND value ->> 'emoji' <> '' ORDER BY 1"
    );
    app.db.texts(&sql).await
}

#[tokio::test]
async fn a_reaction_is_set_changed_and_taken_back_and_each_person_has_one() {
    let app = App::start().await;
    deliver(&app, &text("wamid.1")).await;
    deliver(&app, &reaction(MARA, "wamid.1", 10, "👍")).await;
    deliver(&app, &reaction(JON, "wamid.1", 11, "😀")).await;
    assert_eq!(reactions(&app, "wamid.1").await, ["15551230001 👍", "15551230002 😀"]);
    deliver(&app, &reaction(MARA, "wamid.1", 12, "❤️")).await;
    assert_eq!(reactions(&app, "wamid.1").await, ["15551230001 ❤️", "15551230002 😀"]);
    deliver(&app, &reaction(MARA, "wamid.1", 13, "")).await;
    assert_eq!(reactions(&app, "wamid.1").await, ["15551230002 😀"]);
}

#[tokio::test]
async fn an_older_reaction_that_arrives_late_changes_nothing() {
    let app = App::start().await;
    deliver(&app, &text("wamid.1")).await;
    deliver(&app, &reaction(MARA, "wamid.1", 12, "❤️")).await;
    deliver(&app, &reaction(MARA, "wamid.1", 10, "👍")).await;
    assert_eq!(reactions(&app, "wamid.1").await, ["15551230001 ❤️"]);
    deliver(&app, &reaction(MARA, "wamid.1", 13, "")).await;
    deliver(&app, &reaction(MARA, "wamid.1", 11, "👍")).await;
    assert!(reactions(&app, "wamid.1").await.is_empty());
}

#[tokio::test]
async fn a_reaction_that_was_changed_within_its_second_does_not_come_back_with_a_repeated_delivery() {
    let app = App::start().await;
    deliver(&app, &text("wamid.1")).await;
    for emoji in ["👍", "❤️", "👍"] {
        // The third is the first one, delivered again: the same id.
        deliver(&app, &reaction(MARA, "wamid.1", 10, emoji)).await;
    }
    assert_eq!(reactions(&app, "wamid.1").await, ["15551230001 ❤️"]);
}

#[tokio::test]
async fn a_reaction_before_its_message_shows_once_the_message_is_there() {
    let app = App::start().await;
    deliver(&app, &reaction(MARA, "wamid.1", 10, "👍")).await;
    assert_eq!(app.db.count("SELECT count(*) FROM chat_conversations").await, 0);
    deliver(&app, &text("wamid.1")).await;
    assert_eq!(reactions(&app, "wamid.1").await, ["15551230001 👍"]);
    assert_eq!(
        app.db.texts("SELECT message_type || ' ' || content || ' ' || status FROM chat_messages").await,
        ["text text of wamid.1 received"]
    );
}

#[tokio::test]
async fn a_reaction_edit_or_revoke_is_not_a_message_and_nothing_to_read() {
    let app = App::start().await;
    deliver(&app, &text("wamid.1")).await;
    deliver(&app, &reaction(MARA, "wamid.1", 10, "👍")).await;
    deliver(&app, &edit("wamid.1", 11, "edited")).await;
    deliver(&app, &revoke("wamid.1", 12)).await;
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await, 1);
    assert_eq!(app.db.texts("SELECT unread_count || ' ' || status FROM chat_conversations").await, ["1 open"]);
}

#[tokio::test]
async fn the_latest_edit_stays_in_whatever_order_message_and_edits_arrive() {
    let app = App::start().await;
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (n, order) in orders.iter().enumerate() {
        let id = format!("wamid.{n}");
        let bodies = [text(&id), edit(&id, 10, "first edit"), edit(&id, 20, "second edit")];
        for step in order {
            deliver(&app, &bodies[*step]).await;
        }
        let row = format!(
            "SELECT concat_ws('|', message_type, status, content, edited_at AT TIME ZONE 'utc', sent_at AT TIME ZONE 'utc') FROM chat_messages WHERE external_id = '{id}'"
        );
        assert_eq!(app.db.texts(&row).await, ["text|received|second edit|2025-10-09 08:53:40|2025-10-09 08:53:20"], "{order:?}");
    }
    assert_eq!(app.db.texts("SELECT unread_count::text FROM chat_conversations").await, ["6"]);
}

#[tokio::test]
async fn the_latest_edit_stays_within_one_body() {
    let app = App::start().await;
    deliver(&app, &messages(&[edit_element("wamid.1", 20, "second edit"), edit_element("wamid.1", 10, "first edit")])).await;
    deliver(&app, &text("wamid.1")).await;
    assert_eq!(app.db.texts("SELECT content FROM chat_messages").await, ["second edit"]);
}

#[tokio::test]
async fn an_edited_caption_keeps_the_file() {
    let app = App::start().await;
    let picture = message(MARA, "wamid.1", 0, "image", json!({"id": "m1", "mime_type": "image/png", "sha256": "c2hh", "caption": "left"}));
    deliver(&app, &messages(&[picture])).await;
    let new = json!({"type": "image", "image": {"id": "m1", "caption": "right"}});
    deliver(&app, &messages(&[message(MARA, "wamid.2", 5, "edit", json!({"original_message_id": "wamid.1", "message": new}))])).await;
    assert_eq!(app.db.texts("SELECT concat_ws('|', message_type, content, media ->> 'id') FROM chat_messages").await, ["image|right|m1"]);
}

#[tokio::test]
async fn a_revoke_marks_the_message_also_when_it_comes_first() {
    let app = App::start().await;
    deliver(&app, &text("wamid.1")).await;
    deliver(&app, &revoke("wamid.1", 10)).await;
    deliver(&app, &revoke("wamid.2", 10)).await;
    deliver(&app, &text("wamid.2")).await;
    for id in ["wamid.1", "wamid.2"] {
        deliver(&app, &revoke(id, 30)).await;
        deliver(&app, &text(id)).await;
    }
    assert_eq!(
        app.db.texts("SELECT concat_ws('|', external_id, message_type, revoked_at AT TIME ZONE 'utc') FROM chat_messages ORDER BY 1").await,
        ["wamid.1|text|2025-10-09 08:53:30", "wamid.2|text|2025-10-09 08:53:30"]
    );
}

#[tokio::test]
async fn the_business_reacts_edits_and_revokes_on_its_own_phone_too() {
    let app = App::start().await;
    deliver(&app, &text("wamid.1")).await;
    let new = json!({"type": "text", "text": {"body": "at noon"}});
    let echoes: Vec<Value> = [
        message("15550001111", "wamid.2", 5, "text", json!({"body": "at ten"})),
        message("15550001111", "wamid.3", 6, "reaction", json!({"message_id": "wamid.1", "emoji": "❤️"})),
        message("15550001111", "wamid.4", 7, "edit", json!({"original_message_id": "wamid.2", "message": new})),
        message("15550001111", "wamid.5", 8, "revoke", json!({"original_message_id": "wamid.2"})),
    ]
    .map(|mut echo| {
        echo["to"] = json!(MARA);
        echo
    })
    .into();
    let value = json!({"metadata": {"phone_number_id": crate::harness::PHONE_NUMBER_ID}, "message_echoes": echoes});
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "900", "changes": [{"field": "smb_message_echoes", "value": value}]}]});
    deliver(&app, &body.to_string()).await;
    assert_eq!(reactions(&app, "wamid.1").await, ["business ❤️"]);
    assert_eq!(
        app.db.texts("SELECT concat_ws('|', external_id, direction, content, revoked_at IS NOT NULL) FROM chat_messages ORDER BY 1").await,
        ["wamid.1|inbound|text of wamid.1|f", "wamid.2|outbound|at noon|t"]
    );
}
