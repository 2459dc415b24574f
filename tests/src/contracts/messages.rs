//! Messages of the WhatsApp business contract, and the answers of the helpdesk.

use super::{NUMBER, inbox, receive};
use crate::harness::{App, status_for, text_to};
use serde_json::{Value, json};

async fn list(app: &App, user: &crate::harness::User, query: &str) -> (Vec<String>, Value) {
    let body = app.get(user, &format!("/api/messages{query}")).await.expect(200);
    let ids = body["data"]["messages"].as_array().unwrap().iter().map(|message| message["whatsappId"].as_str().unwrap_or("-").to_owned());
    (ids.collect(), body["data"]["pagination"].clone())
}

#[tokio::test]
async fn an_inbound_message_is_shown_as_the_contract_says() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    receive(&app, "15551230001", "wamid.1", "hello").await;
    let body = app.get(&ann, "/api/messages").await.expect(200);
    let message = &body["data"]["messages"][0];
    assert_eq!(message["content"], json!({"text": "hello"}));
    let shown = ["whatsappId", "direction", "type", "status", "from", "to", "tenantId"].map(|name| message[name].as_str().unwrap());
    assert_eq!(shown, ["wamid.1", "INBOUND", "TEXT", "DELIVERED", "+15551230001", NUMBER, ann.tenant.as_str()]);
    assert!(message["createdAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(body["data"]["pagination"], json!({"page": 1, "limit": 50, "total": 1, "totalPages": 1}));
    let one = app.get(&ann, &format!("/api/messages/{}", message["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(&one["data"], message);
}

#[tokio::test]
async fn messages_are_listed_newest_first_page_by_page_and_by_every_filter() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    for n in 1..=5 {
        receive(&app, &format!("1555123000{}", n % 2), &format!("wamid.{n}"), "hi").await;
    }
    let (ids, pagination) = list(&app, &ann, "?limit=2&page=2").await;
    assert_eq!(
        (ids, pagination),
        (vec!["wamid.3".to_owned(), "wamid.2".to_owned()], json!({"page": 2, "limit": 2, "total": 5, "totalPages": 3}))
    );
    assert!(list(&app, &ann, "?page=4&limit=2").await.0.is_empty());
    let conversation = app.db.text("SELECT conversation_id::text FROM chat_messages WHERE external_id = 'wamid.1'").await;
    let (ids, pagination) = list(&app, &ann, &format!("?conversationId={conversation}")).await;
    assert_eq!((ids.len(), &pagination["total"]), (3, &json!(3)));

    let sent =
        app.post(&ann, "/api/messages", json!({"to": "+1 555 123-0001", "type": "text", "content": {"text": "yes?"}})).await.expect(201);
    app.db.run("UPDATE chat_messages SET external_id = 'wamid.out', status = 'sent' WHERE direction = 'outbound'").await;
    for (query, expected) in [
        ("?direction=OUTBOUND", vec!["wamid.out"]),
        ("?status=SENT", vec!["wamid.out"]),
        ("?status=FAILED", vec![]),
        ("?direction=INBOUND&status=DELIVERED&limit=1", vec!["wamid.5"]),
        ("?direction=INBOUND&status=READ", vec![]),
        ("?direction=INBOUND&limit=2&page=3", vec!["wamid.1"]),
    ] {
        assert_eq!(list(&app, &ann, query).await.0, expected, "{query}");
    }
    assert_eq!(app.webhook(&status_for(NUMBER, "wamid.out", "read")).await, 200);
    app.drain().await;
    assert_eq!(list(&app, &ann, "?status=READ").await.0, ["wamid.out"]);
    assert_eq!(
        app.get(&ann, &format!("/api/messages/{}", sent["data"]["id"].as_str().unwrap())).await.expect(200)["data"]["status"],
        "READ"
    );
}

#[tokio::test]
async fn messages_of_other_days_are_on_their_pages() {
    let app = App::start_api_only().await;
    let ann = inbox(&app).await;
    let channel = app.db.text("SELECT id::text FROM channel_instances WHERE external_id = '106540352242922'").await;
    app.db
        .run(&format!(
            "INSERT INTO customers (tenant_id, id, phone_number) VALUES ({t}, '01900000-0000-7000-8000-000000000001', '+15550001');
             INSERT INTO chat_conversations (tenant_id, id, channel_instance_id, customer_id, channel_source)
               VALUES ({t}, '01900000-0000-7000-8000-000000000002', '{channel}', '01900000-0000-7000-8000-000000000001', 'whatsapp');
             INSERT INTO chat_messages (tenant_id, id, conversation_id, channel_instance_id, external_id, direction, message_type, status, channel_source, sent_at)
             SELECT {t}, (left(first_id_of(current_date - d)::text, 13) || '-7000-8000-' || lpad(n::text, 12, '0'))::uuid,
                    '01900000-0000-7000-8000-000000000002', '{channel}', 'wamid.' || d || '.' || n, 'inbound', 'text', 'received', 'whatsapp', now()
             FROM unnest(ARRAY[0, 1, 30, 400]) d, generate_series(1, 3) n",
            t = ann.tenant_number
        ))
        .await;
    let mut all = Vec::new();
    for page in 1..=4 {
        all.extend(list(&app, &ann, &format!("?limit=3&page={page}")).await.0);
    }
    let expected: Vec<String> = [0, 1, 30, 400].iter().flat_map(|d| [3, 2, 1].map(|n| format!("wamid.{d}.{n}"))).collect();
    assert_eq!(all, expected);
    assert_eq!(list(&app, &ann, "?limit=5&page=2").await.0, expected[5..10]);
}

#[tokio::test]
async fn sending_writes_the_message_and_its_job_together_and_they_wait() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    receive(&app, "15551230001", "wamid.1", "hello").await;
    let body = json!({"to": "+15551230001", "type": "image", "content": {"mediaUrl": "https://files.example/x.png", "caption": "look"}});
    let message = app.post(&ann, "/api/messages", body).await.expect(201)["data"].clone();
    assert_eq!((&message["status"], &message["direction"], &message["type"]), (&json!("PENDING"), &json!("OUTBOUND"), &json!("IMAGE")));
    assert_eq!(message["content"], json!({"mediaUrl": "https://files.example/x.png", "caption": "look"}));
    assert_eq!((&message["from"], &message["to"]), (&json!(NUMBER), &json!("+15551230001")));
    let id = message["id"].as_str().unwrap();
    app.drain().await;
    let job = app.db.text("SELECT kind || ' ' || queue || ' ' || state || ' ' || (args ->> 'message_id') || ' ' || tenant_id FROM jobs WHERE queue = 'outbound'").await;
    assert_eq!(job, format!("send_outbound outbound queued {id} {}", ann.tenant_number));
    let conversation =
        "SELECT unread_count || ' ' || human_epoch || ' ' || (human_override_until > now() + interval '23 hours') FROM chat_conversations";
    assert_eq!(app.db.texts(conversation).await, ["0 1 true"], "it is answered, by a person");
    assert_eq!(app.db.count("SELECT count(*) FROM jobs WHERE kind = 'expire_override'").await, 1);
}

#[tokio::test]
async fn somebody_who_never_wrote_can_be_sent_a_template_only() {
    let app = App::start_api_only().await;
    let ann = inbox(&app).await;
    let text = json!({"to": "0049 170 1234567", "type": "text", "content": {"text": "hi"}});
    let refused = app.post(&ann, "/api/messages", text).await.expect(400);
    assert!(refused["message"].as_str().unwrap().contains("template"), "{refused}");
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await + app.db.count("SELECT count(*) FROM customers").await, 0);
    let components = json!([{"type": "body", "parameters": [{"type": "text", "text": "Mara"}]}]);
    let content = json!({"name": "welcome_message", "language": "en", "components": components});
    let template = json!({"to": "0049 170 1234567", "type": "template", "content": content});
    let message = app.post(&ann, "/api/messages", template.clone()).await.expect(201);
    assert_eq!((&message["data"]["content"], &message["data"]["to"]), (&content, &json!("+491701234567")));
    app.post(&ann, "/api/messages", template).await.expect(201);
    assert_eq!(app.db.texts("SELECT count(*)::text FROM chat_conversations").await, ["1"], "both are in one conversation");
}

#[tokio::test]
async fn the_window_closes_a_day_after_the_customers_last_message() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    assert_eq!(app.webhook(&text_to(NUMBER, "15551230001", "wamid.1", "hi", 86_500)).await, 200);
    app.drain().await;
    let text = json!({"to": "+15551230001", "type": "text", "content": {"text": "hi"}});
    app.post(&ann, "/api/messages", text.clone()).await.expect(400);
    receive(&app, "15551230001", "wamid.2", "are you there?").await;
    app.post(&ann, "/api/messages", text).await.expect(201);
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_said_field_by_field() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    for (body, field, status) in [
        (json!({"to": "12345", "type": "text", "content": {"text": "x"}}), "to", 400),
        (json!({"to": "+1234567890", "type": "text", "content": {}}), "content.text", 400),
        (json!({"to": "+1234567890", "type": "text", "content": {"text": " "}}), "content.text", 400),
        (json!({"to": "+1234567890", "type": "text", "content": {"text": "x".repeat(4_097)}}), "content.text", 400),
        (json!({"to": "+1234567890", "type": "image", "content": {"mediaUrl": "file:///etc/passwd"}}), "content.mediaUrl", 400),
        (json!({"to": "+1234567890", "type": "template", "content": {"name": "x"}}), "content.language", 400),
        (json!({"to": "+1234567890", "type": "poem", "content": {}}), "type", 400),
        (json!({"to": "+1234567890", "type": "text"}), "content", 400),
        (json!({"to": "+1234567890", "type": "text", "content": {"text": "a\u{0}b"}}), "body", 400),
    ] {
        let answer = app.post(&ann, "/api/messages", body.clone()).await;
        assert_eq!((answer.status, answer.body["errors"][field].is_array()), (status, true), "{body}: {}", answer.body);
    }
    let no_channel = app.post(&ann, "/api/messages", json!({"to": "+1234567890", "type": "text", "content": {"text": "x"}})).await;
    assert_eq!(no_channel.status, 409);
    for (query, field) in [
        ("?page=abc", "page"),
        ("?page=0", "page"),
        ("?limit=0", "limit"),
        ("?limit=-1", "limit"),
        ("?status=sent", "status"),
        ("?direction=UP", "direction"),
        ("?conversationId=7", "conversationId"),
        ("?page=99999999999999999999", "page"),
    ] {
        let body = app.get(&ann, &format!("/api/messages{query}")).await.expect(400);
        assert!(body["errors"][field].is_array(), "{query}: {body}");
    }
    assert_eq!(list(&app, &ann, "?limit=1000000000").await.1["limit"], 200);
}

#[tokio::test]
async fn an_answer_of_the_helpdesk_is_a_users_message() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    receive(&app, "15551230001", "wamid.1", "hello").await;
    let desk = app.desk_token(&ann).await;
    let conversations = app.call("GET", "/api/conversations", Some(&desk), Value::Null).await.expect(200);
    let id = conversations[0]["conversation_id"].as_str().unwrap();
    let path = format!("/api/conversations/{id}/messages");
    let answer = app.call("POST", &path, Some(&desk), json!({"content": "We look into it"})).await.expect(201);
    assert_eq!(
        (&answer["sender"], &answer["content"], &answer["conversation_id"]),
        (&json!("user"), &json!("We look into it"), &json!(id))
    );
    let all = app.call("GET", &path, Some(&desk), Value::Null).await.expect(200);
    let shown: Vec<_> =
        all.as_array().unwrap().iter().map(|message| (message["sender"].clone(), message["external_message_id"].clone())).collect();
    assert_eq!(shown, [(json!("client"), json!("wamid.1")), (json!("user"), Value::Null)]);
    let after = app.call("GET", &format!("/api/conversations/{id}"), Some(&desk), Value::Null).await.expect(200);
    assert_eq!((&after["handled_by_bot"], &after["active"]), (&json!(false), &json!(true)));
    let empty = app.call("POST", &path, Some(&desk), json!({"content": " "})).await;
    assert_eq!((empty.status, empty.body), (400, json!({"detail": "Bad Request", "errors": {"content": ["must not be empty"]}})));
}
