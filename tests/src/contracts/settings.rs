//! Settings and templates of the WhatsApp business contract.

use super::{NUMBER, inbox, receive};
use crate::harness::{App, PHONE_NUMBER_ID, echo};
use serde_json::{Value, json};

const TOKEN: &str = "EAAG-very-secret-token";

#[tokio::test]
async fn settings_make_and_change_the_cloud_channel_and_show_no_secret() {
    let app = App::start().await;
    let ann = app.register("ann").await;
    let empty = app.get(&ann, "/api/settings").await.expect(200)["data"].clone();
    assert_eq!(
        empty["whatsappConfig"],
        json!({"channelId": null, "phoneNumberId": null, "businessAccountId": null, "hasAccessToken": false, "hasAppSecret": false})
    );
    assert_eq!(
        (&empty["webhookConfig"]["enabled"], &empty["webhookConfig"]["verifyToken"], &empty["humanOverrideTtlSeconds"]),
        (&json!(true), &Value::Null, &json!(86_400))
    );
    assert!(empty["webhookConfig"]["url"].as_str().unwrap().ends_with("/api/webhook"));
    let body = json!({
        "whatsappConfig": {"phoneNumberId": NUMBER, "accessToken": TOKEN, "businessAccountId": "42"},
        "webhookConfig": {"verifyToken": "my-token", "enabled": true}, "tenantName": "Shop", "humanOverrideTtlSeconds": 3600
    });
    let set = app.patch(&ann, "/api/settings", body).await.expect(200);
    assert!(!set.to_string().contains(TOKEN));
    let data = &set["data"];
    assert_eq!((&data["whatsappConfig"]["phoneNumberId"], &data["whatsappConfig"]["hasAccessToken"]), (&json!(NUMBER), &json!(true)));
    assert_eq!(
        (&data["webhookConfig"]["verifyToken"], &data["tenant"]["name"], &data["humanOverrideTtlSeconds"]),
        (&json!("my-token"), &json!("Shop"), &json!(3600))
    );
    let channels = app.get(&ann, "/api/channels").await.expect(200);
    assert_eq!((channels.as_array().unwrap().len(), &channels[0]["id"]), (1, &data["whatsappConfig"]["channelId"]));
    receive(&app, "15551230001", "wamid.1", "hi").await;
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await, 1);
    let kept = app
        .patch(
            &ann,
            "/api/settings",
            json!({"whatsappConfig": {"businessAccountId": null, "appSecret": "s"}, "humanOverrideTtlSeconds": null}),
        )
        .await
        .expect(200);
    let whatsapp = &kept["data"]["whatsappConfig"];
    assert_eq!(
        (&whatsapp["businessAccountId"], &whatsapp["hasAccessToken"], &whatsapp["hasAppSecret"]),
        (&Value::Null, &json!(true), &json!(true))
    );
    assert_eq!(kept["data"]["humanOverrideTtlSeconds"], json!(86_400));
    assert_eq!(app.get(&ann, "/api/settings").await.expect(200), kept);
    for (bad, field) in [
        (json!({"whatsappConfig": {"phoneNumberId": "x"}}), "whatsappConfig.phoneNumberId"),
        (json!({"whatsappConfig": {"accessToken": null}}), "whatsappConfig.accessToken"),
        (json!({"webhookConfig": {"verifyToken": ""}}), "webhookConfig.verifyToken"),
        (json!({"webhookConfig": {"enabled": "yes"}}), "webhookConfig.enabled"),
        (json!({"humanOverrideTtlSeconds": 1}), "humanOverrideTtlSeconds"),
        (json!({"tenantName": " "}), "tenantName"),
    ] {
        assert!(app.patch(&ann, "/api/settings", bad.clone()).await.expect(400)["errors"][field].is_array(), "{bad}");
    }
    let bob = app.colleague(&ann, "bob", "agent").await;
    app.get(&bob, "/api/settings").await.expect(200);
    app.patch(&bob, "/api/settings", json!({"tenantName": "Mine"})).await.expect(403);
    let eve = app.register("eve").await;
    let stolen = json!({"whatsappConfig": {"phoneNumberId": NUMBER, "accessToken": "x"}});
    app.patch(&eve, "/api/settings", stolen).await.expect(409);
    assert_eq!(app.get(&eve, "/api/settings").await.expect(200)["data"]["whatsappConfig"]["phoneNumberId"], Value::Null);
}

#[tokio::test]
async fn an_override_lasts_as_long_as_the_tenant_says() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    app.patch(&ann, "/api/settings", json!({"humanOverrideTtlSeconds": 3600})).await.expect(200);
    receive(&app, "15551230001", "wamid.1", "hi").await;
    let left = "SELECT round(extract(epoch FROM human_override_until - now()) / 60)::int8 FROM chat_conversations";
    let text = json!({"to": "+15551230001", "type": "text", "content": {"text": "yes?"}});
    app.post(&ann, "/api/messages", text).await.expect(201);
    assert_eq!(app.db.count(left).await, 60);
    app.db.run("UPDATE chat_conversations SET human_override_until = NULL").await;
    assert_eq!(app.webhook(&echo("15551230001", "wamid.2").replace(PHONE_NUMBER_ID, NUMBER)).await, 200);
    app.drain().await;
    assert_eq!(app.db.count(left).await, 60);
}

#[tokio::test]
async fn templates_are_made_listed_and_deleted() {
    let app = App::start_api_only().await;
    let ann = app.register("ann").await;
    let body = |name: &str, language: &str| {
        json!({"name": name, "category": "MARKETING", "language": language, "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Welcome!"}, {"type": "BODY", "text": "Hello {{1}}, welcome to our service!"}]})
    };
    let made = app.post(&ann, "/api/templates", body("welcome_message", "en")).await.expect(201)["data"].clone();
    assert_eq!(
        (&made["status"], &made["category"], &made["components"]),
        (&json!("PENDING"), &json!("MARKETING"), &body("x", "en")["components"])
    );
    app.post(&ann, "/api/templates", body("welcome_message", "en")).await.expect(409);
    app.post(&ann, "/api/templates", body("welcome_message", "pt_BR")).await.expect(201);
    app.post(&ann, "/api/templates", body("bye", "en")).await.expect(201);
    let list = app.get(&ann, "/api/templates?limit=2").await.expect(200)["data"].clone();
    assert_eq!(
        (list["templates"].as_array().unwrap().len(), &list["pagination"]["total"], &list["templates"][0]["name"]),
        (2, &json!(3), &json!("bye"))
    );
    for (query, total) in [("name=welcome_message", 2), ("status=APPROVED", 0), ("status=PENDING&category=MARKETING", 3)] {
        assert_eq!(
            app.get(&ann, &format!("/api/templates?{query}")).await.expect(200)["data"]["pagination"]["total"],
            json!(total),
            "{query}"
        );
    }
    let path = format!("/api/templates/{}", made["id"].as_str().unwrap());
    assert_eq!(app.get(&ann, &path).await.expect(200)["data"], made);
    for (bad, field) in [
        (body("Welcome", "en"), "name"),
        (body("welcome", "english"), "language"),
        (json!({"name": "x", "category": "FUN", "language": "en", "components": []}), "category"),
        (json!({"name": "x", "category": "UTILITY", "language": "en", "components": []}), "components"),
        (json!({"name": "x", "category": "UTILITY", "language": "en", "components": [{"type": "BODY"}]}), "components.0.text"),
    ] {
        assert!(app.post(&ann, "/api/templates", bad.clone()).await.expect(400)["errors"][field].is_array(), "{bad}");
    }
    let bob = app.colleague(&ann, "bob", "agent").await;
    app.post(&bob, "/api/templates", body("y", "en")).await.expect(403);
    app.delete(&bob, &path).await.expect(403);
    app.delete(&ann, &path).await.expect(204);
    app.get(&ann, &path).await.expect(404);
}

#[tokio::test]
async fn webhooks_that_are_disabled_are_held_and_processed_once_when_they_are_enabled_again() {
    let app = App::start().await;
    let ann = inbox(&app).await;
    let enable = async |enabled: bool| app.patch(&ann, "/api/settings", json!({"webhookConfig": {"enabled": enabled}})).await.expect(200);
    assert_eq!(enable(false).await["data"]["webhookConfig"]["enabled"], json!(false));
    receive(&app, "15551230001", "wamid.1", "one").await;
    receive(&app, "15551230001", "wamid.2", "two").await;
    receive(&app, "15551230001", "wamid.1", "one").await;
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await, 0);
    assert_eq!(app.db.count("SELECT count(*) FROM held_webhook_events").await, 3);
    // Another tenant's go on.
    assert_eq!(app.webhook(&crate::harness::text("wamid.other")).await, 200);
    app.drain().await;
    assert_eq!(app.db.texts("SELECT external_id FROM chat_messages").await, ["wamid.other"]);
    enable(true).await;
    app.drain().await;
    assert_eq!(app.db.texts("SELECT content FROM chat_messages WHERE external_id <> 'wamid.other' ORDER BY id").await, ["one", "two"]);
    assert_eq!(app.db.count("SELECT count(*) FROM held_webhook_events").await, 0);
    // Once more changes nothing.
    app.db
        .run(&format!(
            "INSERT INTO jobs (id, kind, queue, tenant_id, max_attempts, args) SELECT gen_random_uuid(), 'resume_webhooks', 'chores', {t}, 5,
             jsonb_build_object('tenant_id', {t})",
            t = ann.tenant_number
        ))
        .await;
    app.drain().await;
    receive(&app, "15551230001", "wamid.3", "three").await;
    assert_eq!(app.db.count("SELECT count(*) FROM chat_messages").await, 4);
}
