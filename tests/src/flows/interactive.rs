//! Buttons, replies, and whom a business may still write to.

use super::sending::{CUSTOMER, Desk, body};
use serde_json::{Value, json};

fn buttons() -> Value {
    json!({"type": "button", "body": {"text": "Shall we deliver?"},
        "action": {"buttons": [{"type": "reply", "reply": {"id": "yes", "title": "Yes"}}]}})
}

fn to_customer(mut message: Value) -> Value {
    message["to"] = json!(format!("+{CUSTOMER}"));
    message
}

#[tokio::test]
async fn buttons_go_out_as_they_were_given_and_a_reply_names_what_it_answers() {
    let desk = Desk::sending().await;
    let asked = desk.app.db.text("SELECT id::text FROM chat_messages WHERE direction = 'inbound'").await;
    let asked_there = desk.app.db.text("SELECT external_id FROM chat_messages WHERE direction = 'inbound'").await;
    let message = to_customer(json!({"type": "interactive", "content": {"interactive": buttons()}, "replyTo": asked}));
    let made = desk.app.post(&desk.ann, "/api/messages", message).await.expect(201)["data"].clone();
    desk.until_status(made["id"].as_str().unwrap(), "sent").await;
    let sent = body(&desk.provider.received()[0]);
    assert_eq!(
        (&sent["type"], &sent["interactive"], &sent["context"]),
        (&json!("interactive"), &buttons(), &json!({"message_id": asked_there}))
    );
    let inbox = desk.app.db.text("SELECT id::text FROM chat_conversations").await;
    let reply = json!({"conversationId": inbox, "text": "it is on its way", "replyTo": asked});
    let queued = desk.app.post(&desk.ann, "/api/messages/send", reply).await.expect(202);
    desk.until_status(queued["message"]["id"].as_str().unwrap(), "sent").await;
    assert_eq!(body(&desk.provider.received()[1])["context"], json!({"message_id": asked_there}));
    desk.until_idle().await;
}

#[tokio::test]
async fn what_whatsapp_could_not_take_is_refused_by_its_field() {
    let desk = Desk::open().await;
    desk.hear_from("15551230002").await;
    let elsewhere = desk.app.db.text("SELECT id::text FROM chat_messages WHERE external_id = 'wamid.in.15551230002'").await;
    let unsent = desk.say(CUSTOMER, "not yet out").await;
    let text = |reply_to: &str| json!({"type": "text", "content": {"text": "x"}, "replyTo": reply_to});
    let with = |interactive: Value| json!({"type": "interactive", "content": {"interactive": interactive}});
    let without = |name: &str| {
        let mut interactive = buttons();
        interactive.as_object_mut().unwrap().remove(name);
        with(interactive)
    };
    for (bad, field) in [
        (text("x"), "replyTo"),
        (text(&elsewhere), "replyTo"),
        (text(&unsent), "replyTo"),
        (json!({"type": "interactive", "content": {}}), "content.interactive"),
        (without("type"), "content.interactive.type"),
        (without("body"), "content.interactive.body.text"),
        (without("action"), "content.interactive.action"),
        (with(json!({"type": "button", "body": {"text": "x"}, "action": {"buttons": "b".repeat(40_000)}})), "content.interactive"),
    ] {
        let answer = desk.app.post(&desk.ann, "/api/messages", to_customer(bad.clone())).await.expect(400);
        assert!(answer["errors"][field].is_array(), "{bad:.200}: {answer}");
    }
    assert_eq!(desk.app.db.count("SELECT count(*) FROM chat_messages WHERE direction = 'outbound'").await, 1);
}

#[tokio::test]
async fn who_wrote_today_may_be_written_to_also_when_the_conversation_was_closed() {
    let desk = Desk::sending().await;
    let conversation = desk.app.db.text("SELECT id::text FROM chat_conversations").await;
    desk.app.patch(&desk.ann, &format!("/api/conversations/{conversation}"), json!({"status": "CLOSED"})).await.expect(200);
    let id = desk.say(CUSTOMER, "one more thing").await;
    desk.until_status(&id, "sent").await;
    assert_eq!(desk.app.db.count("SELECT count(*) FROM chat_conversations").await, 2);
    desk.app.db.run("UPDATE chat_conversations SET last_inbound_at = now() - interval '25 hours'").await;
    let late = to_customer(json!({"type": "text", "content": {"text": "too late"}}));
    assert!(desk.app.post(&desk.ann, "/api/messages", late).await.expect(400)["message"].as_str().unwrap().contains("template"));
    desk.until_idle().await;
}
