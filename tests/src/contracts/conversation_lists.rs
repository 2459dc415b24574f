//! What lists remember of conversations is never out of date, and the newest of all tenants are found without reading all.

use super::{NUMBER, inbox, receive};
use crate::harness::{ADMIN_TOKEN, App, User, change};
use serde_json::{Value, json};

/// The only conversation, as lists show it, which must be as it is when it is read by itself; by both processes.
async fn listed(app: &App, ann: &User, other_api: u16) -> Value {
    let list = app.get(ann, "/api/conversations").await.expect(200)["data"]["conversations"].clone();
    let there = app.http.get(format!("http://127.0.0.1:{other_api}/api/conversations")).bearer_auth(&ann.token);
    assert_eq!(app.send(there).await.expect(200)["data"]["conversations"], list);
    let id = list[0]["id"].as_str().unwrap();
    assert_eq!(app.get(ann, &format!("/api/conversations/{id}")).await.expect(200)["data"]["conversation"], list[0]);
    let chat = &app.send(app.request("GET", "/admin/chats/summary").header("x-admin-token", ADMIN_TOKEN)).await.expect(200)[0];
    assert_eq!((&chat["id"], &chat["last_message"]), (&list[0]["id"], &list[0]["lastMessage"]["text"]));
    list[0].clone()
}

async fn deliver(app: &App, value: Value) {
    assert_eq!(app.webhook(&change(NUMBER, &value)).await, 200);
    app.drain().await;
}

#[tokio::test]
async fn lists_show_every_change_at_once() {
    let mut app = App::start().await;
    let other_api = app.start_second_api().await;
    let ann = inbox(&app).await;
    receive(&app, "15551230001", "wamid.1", "one").await;
    let mut before = listed(&app, &ann, other_api).await;
    assert_eq!(before["lastMessage"]["text"], "one");
    let path = format!("/api/conversations/{}", before["id"].as_str().unwrap());
    let contact = format!("/api/contacts/{}", before["contact"]["id"].as_str().unwrap());
    let said = |id: &str, name: &str, kind: &str, content: &Value| {
        let at = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs().to_string();
        let mut message = json!({"from": "15551230001", "id": id, "timestamp": at, "type": kind});
        message[kind] = content.clone();
        json!({"contacts": [{"profile": {"name": name}, "wa_id": "15551230001"}], "messages": [message]})
    };
    for act in 0..9 {
        let (field, expected) = match act {
            0 => {
                receive(&app, "15551230001", "wamid.2", "two").await;
                ("/lastMessage/text", json!("two"))
            }
            1 => {
                let edit = json!({"original_message_id": "wamid.2", "message": {"type": "text", "text": {"body": "2"}}});
                deliver(&app, said("wamid.3", "Customer 15551230001", "edit", &edit)).await;
                ("/lastMessage/text", json!("2"))
            }
            2 => {
                deliver(&app, said("wamid.4", "Mara", "text", &json!({"body": "it is me"}))).await;
                ("/contactName", json!("Mara"))
            }
            3 => {
                app.patch(&ann, &contact, json!({"email": "mara@example.com"})).await.expect(200);
                ("/contact/email", json!("mara@example.com"))
            }
            4 => {
                app.patch(&ann, &contact, json!({"name": "Mara M."})).await.expect(200);
                ("/contactName", json!("Mara M."))
            }
            5 => {
                app.patch(&ann, &path, json!({"tags": ["vip"]})).await.expect(200);
                ("/tags", json!(["vip"]))
            }
            6 => {
                app.post(&ann, &format!("{path}/read"), Value::Null).await.expect(204);
                ("/unreadCount", json!(0))
            }
            7 => {
                app.post(&ann, "/api/messages", json!({"to": "+15551230001", "type": "text", "content": {"text": "hello"}}))
                    .await
                    .expect(201);
                ("/lastMessage", json!({"text": "hello", "type": "TEXT", "direction": "OUTBOUND"}))
            }
            _ => {
                app.patch(&ann, &path, json!({"status": "CLOSED"})).await.expect(200);
                ("/status", json!("CLOSED"))
            }
        };
        let now = listed(&app, &ann, other_api).await;
        assert_eq!(now.pointer(field), Some(&expected), "{act}: {now}");
        assert_ne!(now, before, "{act}");
        before = now;
    }
}

#[tokio::test]
async fn the_newest_of_all_tenants_are_the_first_of_the_whole_list() {
    let app = App::start_api_only().await;
    app.db
        .run(
            "WITH t AS (INSERT INTO tenants (store_name) SELECT 'many ' || n FROM generate_series(1, 4) n RETURNING id),
                  c AS (INSERT INTO channel_instances (tenant_id, type, name) SELECT t.id, k, 'c' FROM t, unnest(ARRAY['WHATSAPP', 'TELEGRAM_BOT']) k RETURNING tenant_id, id, type),
                  p AS (INSERT INTO customers (tenant_id, id, name) SELECT t.id, gen_random_uuid(), 'Person ' || n FROM t, generate_series(1, 60) n RETURNING tenant_id, id, name)
             INSERT INTO chat_conversations (tenant_id, id, channel_instance_id, customer_id, channel_source, status, last_message_at)
             SELECT p.tenant_id, gen_random_uuid(), c.id, p.id, CASE c.type WHEN 'WHATSAPP' THEN 'whatsapp' ELSE 'telegram' END,
                    (ARRAY['open', 'closed', 'snoozed'])[1 + abs(hashtext(p.id::text)) % 3],
                    -- Many share a slot of five minutes; tenants differ in how active they are.
                    now() - p.tenant_id * interval '1 minute' * (abs(hashtext(p.name || c.type)) % 40)
             FROM p JOIN c ON c.tenant_id = p.tenant_id",
        )
        .await;
    let ids = async |path: &str| -> Vec<String> {
        let list = app.send(app.request("GET", path).header("x-admin-token", ADMIN_TOKEN)).await.expect(200);
        list.as_array().unwrap().iter().map(|chat| chat["id"].as_str().unwrap().to_owned()).collect()
    };
    for filter in ["", "&channel=telegram"] {
        let all = ids(&format!("/admin/chats?{filter}")).await;
        assert_eq!(all.len(), if filter.is_empty() { 480 } else { 240 });
        for limit in [1, 2, 7, 24, 50, 200] {
            assert_eq!(ids(&format!("/admin/chats/summary?limit={limit}{filter}")).await, all[..limit], "{limit} {filter}");
        }
    }
}
