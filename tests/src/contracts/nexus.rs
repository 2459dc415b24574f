//! The operator console, and services that post messages.

use super::{inbox, receive};
use crate::harness::{ADMIN_TOKEN, Answer, App, INTERNAL_TOKEN};
use serde_json::{Value, json};

async fn admin(app: &App, path: &str) -> Answer {
    app.send(app.request("GET", path).header("x-admin-token", ADMIN_TOKEN)).await
}

async fn internal(app: &App, path: &str, body: &Value) -> Answer {
    app.send(app.request("POST", path).header("x-internal-secret", INTERNAL_TOKEN).json(body)).await
}

async fn channel(app: &App, tenant: i64, kind: &str) -> String {
    app.db.text(&format!("INSERT INTO channel_instances (tenant_id, type, name) VALUES ({tenant}, '{kind}', 'c') RETURNING id::text")).await
}

#[tokio::test]
async fn each_secret_opens_its_own_paths_only() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    for path in ["/admin/tenants", "/admin/chats", "/admin/chats/summary", "/admin/stats", "/admin/health"] {
        admin(&app, path).await.expect(200);
        for (header, value) in
            [("x-admin-token", "wrong"), ("x-internal-secret", INTERNAL_TOKEN), ("x-admin-token", INTERNAL_TOKEN), ("x-admin-token", "")]
        {
            let refused = app.send(app.request("GET", path).header(header, value)).await;
            assert_eq!((refused.status, refused.body), (401, json!({"detail": "Unauthorized"})), "{path} {header} {value}");
        }
        app.get(&ann, path).await.expect(401);
    }
    let message = json!({"conversation_id": uuid::Uuid::nil(), "content": "x"});
    for (header, value) in [("x-internal-secret", "wrong"), ("x-admin-token", ADMIN_TOKEN), ("x-internal-secret", ADMIN_TOKEN)] {
        for path in ["/internal/messages", "/internal/inbound"] {
            app.send(app.request("POST", path).header(header, value).json(&message)).await.expect(401);
        }
    }
    internal(&app, "/internal/messages", &message).await.expect(404);
    assert_eq!(
        app.send(app.request("GET", "/admin/nowhere").header("x-admin-token", ADMIN_TOKEN)).await.expect(404)["detail"],
        json!("There is nothing at this path")
    );
    assert_eq!(app.send(app.request("POST", "/admin/tenants").header("x-admin-token", ADMIN_TOKEN)).await.status, 405);
}

#[tokio::test]
async fn secrets_that_are_not_set_open_nothing() {
    let mut app =
        App::without_processes(crate::harness::Database::create().await, &[("ADMIN_TOKEN", ""), ("INTERNAL_API_TOKEN", "")]).await;
    app.start_api().await;
    for value in ["", ADMIN_TOKEN] {
        app.send(app.request("GET", "/admin/tenants").header("x-admin-token", value)).await.expect(401);
        app.send(app.request("POST", "/internal/inbound").header("x-internal-secret", value).json(&json!([]))).await.expect(401);
    }
}

#[tokio::test]
async fn the_operator_sees_all_tenants_chats_messages_and_figures() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    let eve = app.register("eve").await;
    app.whatsapp_channel(&eve, "106540352242999").await;
    for n in 1..=3 {
        receive(&app, &format!("1555123000{n}"), &format!("wamid.{n}"), &format!("hi {n}")).await;
    }
    assert_eq!(app.webhook(&crate::harness::text_to("106540352242999", "15551239999", "wamid.9", "other", 60)).await, 200);
    app.drain().await;
    let tenants = admin(&app, "/admin/tenants").await.expect(200);
    assert!(tenants.as_array().unwrap().contains(&json!({"id": ann.tenant_number, "store_name": "ann ltd"})));
    let all = admin(&app, "/admin/chats").await.expect(200);
    assert_eq!(all.as_array().unwrap().len(), 4);
    assert_eq!(admin(&app, "/admin/chats/summary").await.expect(200), all);
    let of_ann = admin(&app, &format!("/admin/chats?tenant_id={}", ann.tenant_number)).await.expect(200);
    assert_eq!(of_ann.as_array().unwrap().len(), 3);
    assert_eq!(
        admin(&app, &format!("/admin/chats/summary?tenant_id={}&limit=2", ann.tenant_number)).await.expect(200).as_array().unwrap(),
        &of_ann.as_array().unwrap()[..2]
    );
    let one = &of_ann[0];
    assert_eq!((&one["name"], &one["last_message"], &one["channel"]), (&json!("Customer 15551230003"), &json!("hi 3"), &json!("whatsapp")));
    assert_eq!((&one["status"], &one["is_locked"], &one["external_user_id"]), (&json!("open"), &json!(false), &json!("15551230003")));
    assert_eq!(admin(&app, "/admin/chats?channel=instagram").await.expect(200), json!([]));
    assert_eq!(admin(&app, "/admin/chats?channel=whatsapp").await.expect(200), all);
    assert_eq!(admin(&app, "/admin/chats?tenant_id=999999").await.expect(200), json!([]));
    for path in ["/admin/chats?channel=sms", "/admin/chats?tenant_id=x", "/admin/chats/summary?limit=0"] {
        admin(&app, path).await.expect(400);
    }
    // A person answers: the bot is locked out.
    let id = one["id"].as_str().unwrap();
    app.post(&ann, "/api/messages", json!({"to": "+15551230003", "type": "text", "content": {"text": "yes?"}})).await.expect(201);
    let after = admin(&app, &format!("/admin/chats?tenant_id={}", ann.tenant_number)).await.expect(200);
    assert_eq!(
        (&after[0]["status"], &after[0]["is_locked"], &after[0]["last_message"]),
        (&json!("human_override"), &json!(true), &json!("yes?"))
    );
    app.db.run(&format!("UPDATE chat_conversations SET human_override_until = NULL, assigned_to = '{}' WHERE id = '{id}'", ann.id)).await;
    let handled = admin(&app, "/admin/chats/summary?limit=1").await.expect(200);
    assert_eq!((&handled[0]["status"], &handled[0]["is_locked"]), (&json!("human_handling"), &json!(false)));
    let messages = admin(&app, &format!("/admin/chats/{id}/messages")).await.expect(200);
    let shown: Vec<_> =
        messages.as_array().unwrap().iter().map(|m| (m["role"].as_str().unwrap(), m["content"].as_str().unwrap())).collect();
    assert_eq!(shown, [("user", "hi 3"), ("assistant", "yes?")]);
    assert_eq!((&messages[0]["media"], messages[0]["timestamp"].as_str().unwrap().ends_with('Z')), (&Value::Null, true));
    admin(&app, "/admin/chats/nonsense/messages").await.expect(404);
    admin(&app, "/admin/chats/00000000-0000-0000-0000-000000000000/messages").await.expect(404);
    app.db.run("UPDATE chat_messages SET status = 'failed' WHERE direction = 'outbound'").await;
    assert_eq!(admin(&app, "/admin/stats").await.expect(200), json!({"active_chats": 4, "messages_processed": 5, "errors_24h": 1}));
    assert_eq!(admin(&app, "/admin/health").await.expect(200), json!({"status": "ok", "db": "connected", "redis": "connected"}));
}

#[tokio::test]
async fn a_long_list_is_whole_and_in_order() {
    let app = App::start_api_only().await;
    let ann = inbox(&app).await;
    app.db
        .run(&format!(
            "INSERT INTO customers (tenant_id, id, name) SELECT {t}, gen_random_uuid(), 'c' || n FROM generate_series(1, 2500) n;
             INSERT INTO chat_conversations (tenant_id, id, channel_instance_id, customer_id, channel_source, last_message_at, status)
             SELECT c.tenant_id, gen_random_uuid(), i.id, c.id, 'whatsapp', now() - substr(c.name, 2)::int / 7 * interval '1 minute',
                    (ARRAY['open', 'closed', 'snoozed'])[1 + substr(c.name, 2)::int % 3]
             FROM customers c JOIN channel_instances i ON i.tenant_id = c.tenant_id WHERE c.tenant_id = {t};
             INSERT INTO chat_messages (tenant_id, id, conversation_id, channel_instance_id, direction, message_type, status, channel_source, content, sent_at)
             SELECT tenant_id, gen_random_uuid(), id, channel_instance_id, 'inbound', 'text', 'received', 'whatsapp', 'm' || n, now() + n * interval '1 second'
             FROM (SELECT * FROM chat_conversations WHERE tenant_id = {t} LIMIT 1) c, generate_series(1, 2001) n",
            t = ann.tenant_number
        ))
        .await;
    let all = admin(&app, "/admin/chats").await.expect(200);
    let shown: Vec<&str> = all.as_array().unwrap().iter().map(|chat| chat["id"].as_str().unwrap()).collect();
    let right = app.db.texts("SELECT id::text FROM chat_conversations ORDER BY last_message_at DESC, id DESC").await;
    assert_eq!(shown, right);
    let id = app.db.text("SELECT conversation_id::text FROM chat_messages LIMIT 1").await;
    let messages = admin(&app, &format!("/admin/chats/{id}/messages")).await.expect(200);
    let shown: Vec<&str> = messages.as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(shown, (1..=2001).map(|n| format!("m{n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_normalized_message_comes_in_once() {
    let app = App::start().await;
    let ann = app.register("ann").await;
    let facebook = channel(&app, ann.tenant_number, "FACEBOOK").await;
    let payload = json!({
        "tenantId": ann.tenant, "channelInstanceId": facebook, "channelType": "facebook", "externalUserId": "4711", "externalUserName": "Jo",
        "externalConversationId": "t_1", "text": "hello", "raw": {"mid": "m_1"}, "timestamp": "2025-10-29T12:34:56Z"
    });
    let taken = internal(&app, "/internal/inbound", &payload).await.expect(202);
    assert_eq!(taken, json!({"status": "accepted", "accepted": 1}));
    internal(&app, "/internal/inbound", &payload).await.expect(202);
    internal(&app, "/internal/inbound", &json!([payload, payload])).await.expect(202);
    app.drain().await;
    let stored =
        "SELECT channel_source || ' ' || direction || ' ' || content || ' ' || (meta ->> 'external_conversation_id') FROM chat_messages";
    assert_eq!(app.db.texts(stored).await, ["facebook inbound hello t_1"]);
    assert_eq!(app.db.texts("SELECT name || ' ' || facebook_psid FROM customers").await, ["Jo 4711"]);
    assert_eq!(
        app.db.texts("SELECT channel_source || ' ' || status || ' ' || unread_count FROM chat_conversations").await,
        ["facebook open 1"]
    );
    assert_eq!(
        app.db.count("SELECT count(*) FROM raw_webhook_events WHERE channel_kind = 'normalized' AND tenant_id IS NOT NULL").await,
        3
    );
    let chat = &admin(&app, "/admin/chats?channel=facebook").await.expect(200)[0];
    assert_eq!((&chat["name"], &chat["external_user_id"]), (&json!("Jo"), &json!("4711")));
    // The same page-scoped id on another page of the tenant is the same person; on Instagram it is somebody else.
    let second = channel(&app, ann.tenant_number, "FACEBOOK").await;
    let instagram = channel(&app, ann.tenant_number, "INSTAGRAM").await;
    let on = |channel: &str, user: &str, extra: Value| {
        let mut body = json!({"channelInstanceId": channel, "externalUserId": user, "text": "x", "timestamp": 1_761_741_296_000_i64});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    let batch = json!([on(&second, "4711", json!({})), on(&instagram, "4711", json!({}))]);
    internal(&app, "/internal/inbound", &batch).await.expect(202);
    app.drain().await;
    assert_eq!(app.db.count("SELECT count(*) FROM customers").await, 2);
    assert_eq!(app.db.count("SELECT count(*) FROM chat_conversations").await, 3);
    // WhatsApp by its session's id, and media.
    let session = channel(&app, ann.tenant_number, "WHATSAPP").await;
    let media = json!({"externalMessageId": "3EB0", "text": null, "attachments": [{"type": "image", "url": "https://example.com/a.jpg", "mimeType": "image/jpeg", "sha": "x"}]});
    internal(&app, "/internal/inbound", &on(&session, "15551230001@s.whatsapp.net", media)).await.expect(202);
    app.drain().await;
    let row = app
        .db
        .text(&format!(
            "SELECT m.external_id || ' ' || message_type || ' ' || (media ->> 'url') || ' ' || phone_number FROM chat_messages m
             JOIN chat_conversations c ON c.id = m.conversation_id JOIN customers cu ON cu.id = c.customer_id WHERE m.channel_instance_id = '{session}'"
        ))
        .await;
    assert_eq!(row, "3EB0 image https://example.com/a.jpg +15551230001");
}

#[tokio::test]
async fn a_normalized_message_that_is_wrong_is_refused_and_none_of_its_batch_is_taken() {
    let app = App::start().await;
    let ann = app.register("ann").await;
    let eve = app.register("eve").await;
    let telegram = channel(&app, ann.tenant_number, "TELEGRAM_BOT").await;
    let good = json!({"channelInstanceId": telegram, "channelType": "telegram-bot", "externalUserId": "1", "text": "x", "timestamp": 1_761_741_296});
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let cases = [
        (with("channelInstanceId", json!(uuid::Uuid::nil())), "channelInstanceId"),
        (with("channelInstanceId", json!("x")), "channelInstanceId"),
        (with("tenantId", json!(eve.tenant)), "tenantId"),
        (with("tenantId", json!(eve.tenant_number)), "tenantId"),
        (with("channelType", json!("facebook")), "channelType"),
        (with("externalUserId", json!("")), "externalUserId"),
        (with("text", json!("")), "text"),
        (with("text", Value::Null), "text"),
        (with("timestamp", json!("yesterday")), "timestamp"),
        (with("timestamp", json!(-1)), "timestamp"),
        (with("attachments", json!([{"url": "x"}])), "attachments"),
        (json!([good, with("externalUserId", json!(""))]), "1.externalUserId"),
        (json!([]), "1 to 1000"),
        (json!("x"), "object"),
    ];
    for (body, word) in cases {
        let refused = internal(&app, "/internal/inbound", &body).await.expect(400);
        assert!(refused["detail"].as_str().unwrap().contains(word), "{body}: {refused}");
    }
    let many = Value::Array(vec![good.clone(); 1_001]);
    internal(&app, "/internal/inbound", &many).await.expect(400);
    assert_eq!(app.db.count("SELECT count(*) FROM raw_webhook_events").await, 0);
    internal(&app, "/internal/inbound", &with("tenantId", json!(ann.tenant_number))).await.expect(202);
    app.drain().await;
    assert_eq!(app.db.text("SELECT channel_source FROM chat_messages").await, "telegram");
}

#[tokio::test]
async fn a_service_replies() {
    let app = App::start().await;
    inbox(&app).await;
    receive(&app, "15551230001", "wamid.1", "hello").await;
    let id = app.db.text("SELECT id::text FROM chat_conversations").await;
    let body = json!({"conversation_id": id, "content": "Your order is on its way"});
    let request = || {
        app.request("POST", "/internal/messages").header("x-internal-secret", INTERNAL_TOKEN).header("idempotency-key", "k1").json(&body)
    };
    let reply = app.send(request()).await.expect(201);
    assert_eq!((&reply["role"], &reply["content"]), (&json!("assistant"), &json!("Your order is on its way")));
    assert_eq!(app.send(request()).await.expect(201), reply);
    assert_eq!(
        app.db.texts("SELECT status || ' ' || human_override FROM chat_messages WHERE direction = 'outbound'").await,
        ["pending false"]
    );
    assert_eq!(app.db.count("SELECT count(*) FROM jobs WHERE kind = 'send_outbound'").await, 1);
    assert_eq!(app.db.count("SELECT count(*) FROM chat_conversations WHERE human_override_until IS NOT NULL").await, 0);
    let media = json!({"conversation_id": id, "media": {"type": "image", "url": "https://example.com/a.jpg"}});
    let reply = internal(&app, "/internal/messages", &media).await.expect(201);
    assert_eq!((&reply["content"], &reply["media"]), (&Value::Null, &json!({"url": "https://example.com/a.jpg", "type": "image"})));
    for bad in [
        json!({"conversation_id": id}),
        json!({"conversation_id": id, "content": "  "}),
        json!({"conversation_id": id, "content": "x".repeat(4_097)}),
        json!({"conversation_id": id, "media": {"type": "image", "url": "ftp://x"}}),
        json!({"conversation_id": id, "media": {"type": "sticker", "url": "https://example.com/a"}}),
        json!({"conversation_id": "x", "content": "y"}),
    ] {
        internal(&app, "/internal/messages", &bad).await.expect(400);
    }
}

#[tokio::test]
async fn the_script_says_where_the_api_is() {
    let mut app = App::without_processes(crate::harness::Database::create().await, &[("PUBLIC_URL", "https://api.example.com/")]).await;
    app.start_api().await;
    let answer = app.call("GET", "/env.js", None, Value::Null).await;
    assert_eq!(answer.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(answer.body, json!("window.env = Object.assign(window.env || {}, {\"API_BASE_URL\":\"https://api.example.com\"});\n"));
}
