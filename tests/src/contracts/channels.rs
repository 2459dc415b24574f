//! Channels of the omnichannel inbox.

use super::{NUMBER, inbox};
use crate::harness::{App, User, text_to};
use serde_json::{Value, json};

const TOKEN: &str = "EAAG-very-secret-token";
const BOT_TOKEN: &str = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11";

async fn create(app: &App, user: &User, body: Value) -> Value {
    app.post(user, "/api/channels", body).await.expect(201)
}

#[tokio::test]
async fn every_type_is_made_listed_changed_and_deleted() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let cases = [
        (
            "WHATSAPP",
            json!({"phoneNumberId": NUMBER, "accessToken": TOKEN, "businessAccountId": "1", "verifyToken": "v"}),
            Some(NUMBER),
            "hasAccessToken",
        ),
        ("FACEBOOK", json!({"pageId": "2001", "pageAccessToken": TOKEN}), Some("2001"), "hasPageAccessToken"),
        ("INSTAGRAM", json!({"accountId": "3001", "accessToken": TOKEN, "appSecret": TOKEN}), Some("3001"), "hasAppSecret"),
        ("TELEGRAM_BOT", json!({"botToken": BOT_TOKEN}), Some("123456"), "hasBotToken"),
        ("TELEGRAM_USER", json!({"phoneNumber": "+1234567890"}), None, ""),
        ("WIDGET", json!({"allowedOrigins": ["https://shop.example.com"]}), None, ""),
    ];
    for (kind, config, external_id, flag) in cases {
        let channel = create(&app, &ann, json!({"name": "Shop", "type": kind, "config": config, "metadata": {"color": "red"}})).await;
        assert_eq!(
            (&channel["type"], &channel["status"], &channel["tenantId"]),
            (&json!(kind), &json!("DISCONNECTED"), &json!(ann.tenant))
        );
        assert_eq!((&channel["externalId"], &channel["metadata"]), (&json!(external_id), &json!({"color": "red"})), "{kind}");
        if !flag.is_empty() {
            assert_eq!(channel["config"][flag], json!(true), "{channel}");
        }
        let path = format!("/api/channels/{}", channel["id"].as_str().unwrap());
        assert_eq!(app.get(&ann, &path).await.expect(200), channel);
        for status in ["CONNECTING", "CONNECTED", "ERROR", "DISCONNECTED"] {
            assert_eq!(app.patch(&ann, &path, json!({"status": status, "name": "S"})).await.expect(200)["status"], json!(status));
        }
        assert_eq!(app.get(&ann, &format!("/api/channels?type={kind}")).await.expect(200).as_array().unwrap().len(), 1);
    }
    let list = app.get(&ann, "/api/channels").await.expect(200);
    assert_eq!(list.as_array().unwrap().len(), 6);
    let stored = app.db.texts("SELECT config::text || secrets::text || metadata::text FROM channel_instances").await.join(" ");
    for text in [list.to_string(), stored] {
        assert!(!text.contains(TOKEN) && !text.contains(BOT_TOKEN), "{text}");
    }
    for channel in list.as_array().unwrap() {
        let path = format!("/api/channels/{}", channel["id"].as_str().unwrap());
        app.delete(&ann, &path).await.expect(204);
        app.get(&ann, &path).await.expect(404);
    }
    // Set up later.
    for kind in ["WHATSAPP", "FACEBOOK", "INSTAGRAM", "TELEGRAM_BOT", "TELEGRAM_USER", "WIDGET"] {
        create(&app, &ann, json!({"name": "Later", "type": kind})).await;
    }
}

#[tokio::test]
async fn settings_are_merged_and_checked_by_type() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let channel = create(&app, &ann, json!({"name": "Shop", "type": "WHATSAPP"})).await;
    assert_eq!(channel["config"], json!({"hasAccessToken": false, "hasAppSecret": false}));
    let path = format!("/api/channels/{}", channel["id"].as_str().unwrap());
    let change = async |config: Value| app.patch(&ann, &path, json!({"config": config})).await;
    change(json!({"phoneNumberId": NUMBER})).await.expect(400);
    let set = change(json!({"phoneNumberId": NUMBER, "accessToken": TOKEN, "appSecret": "s"})).await.expect(200);
    assert_eq!(set["config"], json!({"phoneNumberId": NUMBER, "hasAccessToken": true, "hasAppSecret": true}));
    let kept = change(json!({"appSecret": null, "verifyToken": "v"})).await.expect(200);
    assert_eq!(kept["config"], json!({"phoneNumberId": NUMBER, "verifyToken": "v", "hasAccessToken": true, "hasAppSecret": false}));
    change(json!({"accessToken": null})).await.expect(400);
    let cases = [
        (json!({"name": "", "type": "WIDGET"}), "name"),
        (json!({"type": "WIDGET"}), "name"),
        (json!({"name": "x", "type": "SMS"}), "type"),
        (json!({"name": "x", "type": "WHATSAPP", "config": {"phoneNumberId": "abc", "accessToken": "t"}}), "config.phoneNumberId"),
        (json!({"name": "x", "type": "WHATSAPP", "config": {"phoneNumberId": 1, "accessToken": "t"}}), "config.phoneNumberId"),
        (json!({"name": "x", "type": "WHATSAPP", "config": {"accessToken": "t"}}), "config.phoneNumberId"),
        (json!({"name": "x", "type": "WHATSAPP", "config": {"pageId": "1"}}), "config.pageId"),
        (json!({"name": "x", "type": "WHATSAPP", "config": "x"}), "config"),
        (json!({"name": "x", "type": "WHATSAPP", "config": {"phoneNumberId": "1", "accessToken": "t"}, "externalId": "2"}), "externalId"),
        (json!({"name": "x", "type": "WHATSAPP", "config": {"messagesPerSecond": 0}}), "config.messagesPerSecond"),
        (json!({"name": "x", "type": "WHATSAPP", "config": {"messagesPerSecond": "80"}}), "config.messagesPerSecond"),
        (json!({"name": "x", "type": "FACEBOOK", "config": {"pageId": "1"}}), "config.pageAccessToken"),
        (json!({"name": "x", "type": "TELEGRAM_BOT", "config": {"botToken": "nonsense"}}), "config.botToken"),
        (json!({"name": "x", "type": "WIDGET", "config": {"allowedOrigins": ["x"]}}), "config.allowedOrigins"),
        (json!({"name": "x", "type": "WIDGET", "metadata": {"a": "x".repeat(17_000)}}), "metadata"),
    ];
    for (body, field) in cases {
        let refused = app.post(&ann, "/api/channels", body.clone()).await.expect(400);
        assert_eq!(refused["success"], json!(false));
        assert!(refused["errors"][field].is_array(), "{body}: {refused}");
    }
    assert_eq!(app.db.count(&format!("SELECT count(*) FROM channel_instances WHERE tenant_id = {}", ann.tenant_number)).await, 1);
}

#[tokio::test]
async fn a_number_belongs_to_whoever_has_it_first() {
    let app = App::start_api_only().await;
    let (ann, eve) = (app.register("ann").await, app.register("eve").await);
    let body = json!({"name": "Shop", "type": "WHATSAPP", "config": {"phoneNumberId": NUMBER, "accessToken": TOKEN}});
    let (first, second) = tokio::join!(app.post(&ann, "/api/channels", body.clone()), app.post(&eve, "/api/channels", body.clone()));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    let refused = app.post(&ann, "/api/channels", body).await.expect(409);
    assert_eq!(refused["success"], json!(false));
    // Neither can somebody claim a number without its token.
    for kind in ["WHATSAPP", "FACEBOOK", "INSTAGRAM", "TELEGRAM_BOT"] {
        let bare = json!({"name": "x", "type": kind, "externalId": "123456"});
        assert!(app.post(&eve, "/api/channels", bare).await.expect(400)["errors"]["externalId"].is_array(), "{kind}");
    }
    let claimed = json!({"name": "x", "type": "TELEGRAM_BOT", "config": {"botId": "123456"}});
    assert!(app.post(&eve, "/api/channels", claimed).await.expect(400)["errors"]["config.botId"].is_array());
    // Whoever gives a token back gives the bot back.
    let bot = json!({"name": "Bot", "type": "TELEGRAM_BOT", "config": {"botToken": BOT_TOKEN}});
    let first = create(&app, &ann, bot.clone()).await;
    app.post(&eve, "/api/channels", bot.clone()).await.expect(409);
    let path = format!("/api/channels/{}", first["id"].as_str().unwrap());
    let emptied = app.patch(&ann, &path, json!({"config": {"botToken": null}})).await.expect(200);
    assert_eq!((&emptied["externalId"], &emptied["config"]), (&Value::Null, &json!({"hasBotToken": false})));
    assert_eq!(create(&app, &eve, bot).await["config"], json!({"botId": "123456", "hasBotToken": true}));
}

#[tokio::test]
async fn only_admins_change_channels() {
    let app = App::start_api_only().await;
    let ann = inbox(&app).await;
    let bob = app.colleague(&ann, "bob", "agent").await;
    let id = app.get(&bob, "/api/channels").await.expect(200)[0]["id"].as_str().unwrap().to_owned();
    app.post(&bob, "/api/channels", json!({"name": "x", "type": "WIDGET"})).await.expect(403);
    app.patch(&bob, &format!("/api/channels/{id}"), json!({"name": "x"})).await.expect(403);
    app.delete(&bob, &format!("/api/channels/{id}")).await.expect(403);
    for path in ["/api/channels/x", "/api/channels/00000000-0000-0000-0000-000000000000"] {
        assert_eq!(app.get(&ann, path).await.expect(404)["success"], json!(false));
    }
    let not_yet = app.post(&ann, "/api/telegram/user/start", Value::Null).await.expect(501);
    assert_eq!(not_yet["success"], json!(false));
    app.call("POST", "/api/telegram/user/start", None, Value::Null).await.expect(401);
}

#[tokio::test]
async fn what_came_before_its_channel_is_processed_and_a_channel_in_use_stays() {
    let app = App::start().await;
    let ann = app.register("ann").await;
    assert_eq!(app.webhook(&text_to(NUMBER, "15551230001", "wamid.1", "anybody there?", 60)).await, 200);
    app.drain().await;
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await, 0);
    let channel =
        create(&app, &ann, json!({"name": "Shop", "type": "WHATSAPP", "config": {"phoneNumberId": NUMBER, "accessToken": TOKEN}})).await;
    app.drain().await;
    assert_eq!(app.db.texts("SELECT content FROM chat_messages").await, ["anybody there?"]);
    let refused = app.delete(&ann, &format!("/api/channels/{}", channel["id"].as_str().unwrap())).await.expect(409);
    assert!(refused["message"].as_str().unwrap().contains("conversations"));
}

#[tokio::test]
async fn without_a_key_no_secret_is_kept() {
    let mut app = App::without_processes(crate::harness::Database::create().await, &[("SWITCHBOARD_ENCRYPTION_KEY", "")]).await;
    app.start_api().await;
    let ann = app.register("ann").await;
    let body = json!({"name": "Shop", "type": "WHATSAPP", "config": {"phoneNumberId": NUMBER, "accessToken": TOKEN}});
    let refused = app.post(&ann, "/api/channels", body).await.expect(503);
    assert!(refused["message"].as_str().unwrap().contains("SWITCHBOARD_ENCRYPTION_KEY"));
    create(&app, &ann, json!({"name": "Widget", "type": "WIDGET"})).await;
}
