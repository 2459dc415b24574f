//! The log of raw webhooks, and replaying some with what that would write shown first.

use super::client::Operator;
use crate::harness::{App, change, status, text, text_from, until};
use serde_json::{Value, json};

async fn deliver(app: &App, body: &str) {
    assert_eq!(app.webhook(body).await, 200);
    app.drain().await;
}

async fn listed(app: &App, query: &str) -> usize {
    app.ops("GET", &format!("webhooks?{query}"), Value::Null).await.expect(200)["webhooks"].as_array().unwrap().len()
}

#[tokio::test]
async fn webhooks_are_listed_shown_and_found_by_what_they_hold() {
    let app = App::start().await;
    deliver(&app, &text("wamid.1")).await;
    deliver(&app, &text_from("15551230002", "wamid.2", "find me")).await;
    deliver(
        &app,
        &change(
            "999888777",
            &json!({"messages": [{"from": "1555", "id": "wamid.3", "timestamp": "1", "type": "text", "text": {"body": "x"}}]}),
        ),
    )
    .await;
    let counts = [
        ("", 3),
        ("source=whatsapp_cloud", 3),
        ("source=telegram_bot", 0),
        ("state=unroutable", 1),
        ("channel=999888777", 1),
        ("tenant=1", 2),
        ("text=find%20me", 1),
        ("from=2030-01-01T00:00", 0),
    ];
    for (query, count) in counts {
        assert_eq!(listed(&app, query).await, count, "{query}");
    }
    for bad in ["source=pigeon", "state=lost", "tenant=x", "from=x", "before=x"] {
        app.ops("GET", &format!("webhooks?{bad}"), Value::Null).await.expect(400);
    }
    let id = app.db.text("SELECT id::text FROM raw_webhook_events ORDER BY id LIMIT 1").await;
    let shown = app.ops("GET", &format!("webhooks/{id}"), Value::Null).await.expect(200);
    assert_eq!((&shown["body"]["object"], &shown["jobs"][0]["kind"]), (&json!("whatsapp_business_account"), &json!("process_webhook")));
    let operator = Operator::of(&app).await;
    let page = operator.get(&format!("/ops/webhooks/{id}")).await.ok();
    assert!(page.contains("  &quot;object&quot;: &quot;whatsapp_business_account&quot;"), "{page}");
    let refused = app.http.post(app.url("/api/webhook")).header("x-hub-signature-256", "sha256=00").body("{}").send().await.unwrap();
    assert_eq!(refused.status(), 401);
    until("it is counted, and not kept", async || operator.get("/ops/webhooks").await.text.contains("signature 1")).await;
    assert_eq!(listed(&app, "").await, 3);
    app.ops("GET", "webhooks/01900000-0000-7000-8000-0000000000ff", Value::Null).await.expect(404);
}

#[tokio::test]
async fn a_replay_is_tried_first_and_writes_only_what_is_missing() {
    let app = App::start().await;
    deliver(&app, &text("wamid.1")).await;
    deliver(&app, &status("wamid.out", "delivered")).await;
    let events = app.db.texts("SELECT id::text FROM raw_webhook_events ORDER BY id").await;
    let state = "SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM (SELECT to_jsonb(m) FROM chat_messages m UNION ALL SELECT to_jsonb(c) FROM chat_conversations c UNION ALL SELECT to_jsonb(k) FROM customers k) t";
    let before = app.db.text(state).await;
    let tried = app.ops("POST", "webhooks/preview", json!({ "ids": events })).await.expect(200);
    assert_eq!((&tried["count"], &tried["preview"]["appear"], &tried["preview"]["change"]), (&json!(2), &json!([]), &json!([])), "{tried}");
    // A message that was lost, and a receipt that was not heard.
    app.db.run("DELETE FROM chat_messages WHERE external_id = 'wamid.1'; UPDATE chat_messages SET status = 'sent' WHERE external_id = 'wamid.out'").await;
    let broken = app.db.text(state).await;
    let operator = Operator::of(&app).await;
    let plan = format!("/ops/webhooks/replay?id={}&id={}", events[0], events[1]);
    let page = operator.get(&plan).await.ok();
    assert!(page.contains("Would appear (1)") && page.contains("text of wamid.1"), "{page}");
    assert!(page.contains("&quot;status&quot;: &quot;delivered&quot;"), "{page}");
    assert_eq!(app.db.text(state).await, broken, "it was only tried");
    let progress = operator.submit(&plan, &[("per_second", "10"), ("reason", "lost by a disk")]).await.to();
    let act = format!("acts/{}", progress.rsplit('/').next().unwrap());
    until("it is over", async || app.ops("GET", &act, Value::Null).await.body["state"] == "done").await;
    app.drain().await;
    assert_eq!(
        app.db.texts("SELECT external_id || ' ' || status FROM chat_messages ORDER BY 1").await,
        ["wamid.1 received", "wamid.out delivered"]
    );
    let (done, total) =
        (app.ops("GET", &act, Value::Null).await.body["done"].clone(), app.ops("GET", &act, Value::Null).await.body["total"].clone());
    assert_eq!((done, total), (json!(2), json!(2)));
    assert_ne!(before, broken);
    // By time, all of it: nothing happens twice.
    let after = app.db.text(state).await;
    let begun = app.ops("POST", "webhooks/replay", json!({"from": "2020-01-01T00:00:00Z", "per_second": 100})).await.expect(202);
    until("all is replayed", async || {
        app.ops("GET", &format!("acts/{}", begun["act"].as_str().unwrap()), Value::Null).await.body["state"] == "done"
    })
    .await;
    app.drain().await;
    assert_eq!(app.db.text(state).await, after);
    for bad in [
        json!({}),
        json!({"ids": ["x"]}),
        json!({"ids": events, "per_second": 0}),
        json!({"from": "x"}),
        json!({"source": "pigeon", "to": "x"}),
    ] {
        app.ops("POST", "webhooks/replay", bad).await.expect(400);
    }
    app.ops("POST", "webhooks/replay", json!({"ids": ["01900000-0000-7000-8000-0000000000ff"]})).await.expect(404);
    // Whoever chose none does not mean all.
    for nothing in
        ["/ops/webhooks/replay", "/ops/webhooks/replay?source=&from=", "/ops/webhooks/replay?id=x", "/ops/webhooks/replay?state=x"]
    {
        assert_eq!(operator.get(nothing).await.status, 400, "{nothing}");
        assert_eq!(operator.submit(nothing, &[("per_second", "10")]).await.status, 400, "{nothing}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_or_has_no_channel_is_said_before_it_is_replayed() {
    let mut app = App::start().await;
    app.expect_dead(1);
    deliver(&app, "{\"object\": \"whatsapp_business").await;
    deliver(
        &app,
        &change(
            "999888777",
            &json!({"messages": [{"from": "1555", "id": "wamid.3", "timestamp": "1", "type": "text", "text": {"body": "x"}}]}),
        ),
    )
    .await;
    let tried = app.ops("POST", "webhooks/preview", json!({"from": "2020-01-01T00:00:00Z"})).await.expect(200);
    assert_eq!((tried["preview"]["malformed"].as_array().unwrap().len(), &tried["preview"]["unrouted"]), (1, &json!(1)), "{tried}");
}
