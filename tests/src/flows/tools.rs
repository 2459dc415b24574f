//! What agents may do besides talking: built-in tools, and what tenants configure. Tool calls are as in
//! <https://platform.openai.com/docs/guides/function-calling>.

use super::agents::{Office, body, says};
use super::escalations::calls;
use crate::harness::{Provider, Received, until};
use serde_json::{Value, json};
use uuid::Uuid;

/// A model that asks for a tool once, and then says what the tool said.
fn asks_once(name: &'static str, arguments: &'static str) -> impl Fn(&Received) -> (u16, Value) + Send + Sync + 'static {
    move |call| {
        let messages = body(call)["messages"].clone();
        match messages.as_array().unwrap().iter().rev().find(|turn| turn["role"] == "tool") {
            Some(result) => says(&format!("It said: {}", result["content"].as_str().unwrap())),
            None => calls(None, &[(name, arguments)]),
        }
    }
}

impl Office {
    pub(super) async fn base_tool(&self, name: &str) -> String {
        let tools = self.app.get(&self.ann, "/api/admin/tools").await.expect(200);
        tools.as_array().unwrap().iter().find(|tool| tool["name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
    }

    async fn gives_tools(&self, ids: &[&str]) {
        let agent = self.app.db.text("SELECT id::text FROM agents").await;
        self.app.put(&self.ann, &format!("/api/admin/agents/{agent}"), json!({"tool_ids": ids})).await.expect(200);
    }

    async fn answer(&self, text: &str) -> String {
        let answer = self.app.post(&self.ann, &format!("/api/{}/chat", self.ann.tenant), json!({"message": text})).await.expect(200);
        answer["response"].as_str().unwrap_or_default().to_owned()
    }
}

#[tokio::test]
async fn an_agent_calls_the_tenants_own_address_with_its_secret_and_checked_arguments() {
    let shop = Provider::start().await;
    shop.script(|_| (200, json!({"status": "on its way"})));
    let host = shop.url.trim_start_matches("http://").to_owned();
    let office = Office::open_with(true, &[("SWITCHBOARD_ALLOW_HOSTS", host.as_str())]).await;
    let schema = json!({"type": "object", "properties": {"order": {"type": "string", "pattern": "^[0-9]+$"}, "detail": {"type": "boolean"}}, "required": ["order"], "additionalProperties": false});
    let tool = json!({"name": "Order status", "description": "Tells where an order is", "config": {"url": format!("{}/orders/{{order}}", shop.url),
        "headers": {"authorization": "Bearer {{api_key}}"}}, "secrets": {"api_key": "s3cret of ann"}, "input_schema": schema});
    let made = office.app.post(&office.ann, "/api/admin/tools", tool).await.expect(201);
    assert_eq!((&made["secret_names"], &made["is_base"], &made["is_active"]), (&json!(["api_key"]), &json!(false), &json!(true)));
    assert!(!made.to_string().contains("s3cret"), "{made}");
    assert_eq!(office.count("tools WHERE secrets::text LIKE '%s3cret%'").await, 0, "it is sealed");
    office.gives_tools(&[made["id"].as_str().unwrap()]).await;
    office.model.script(asks_once("order_status", r#"{"order": "4711", "detail": true}"#));
    assert_eq!(
        office.answer("Where is my order 4711?").await,
        r#"It said: HTTP 200
{"status":"on its way"}"#
    );
    let called = shop.received();
    assert_eq!((called.len(), called[0].line.as_str()), (1, "GET /orders/4711?detail=true"));
    let head = called[0].head.to_ascii_lowercase();
    assert!(head.contains("authorization: bearer s3cret of ann") && head.contains("idempotency-key: "), "{head}");
    assert_eq!(office.count("tool_results").await, 0, "the run has ended");
    // Two calls of one run are two calls, to whoever keeps count of keys.
    office.model.script(|call| {
        let told = body(call)["messages"].as_array().unwrap().iter().any(|turn| turn["role"] == "tool");
        let both = [("order_status", r#"{"order": "1"}"#), ("order_status", r#"{"order": "2"}"#)];
        if told { says("Both are.") } else { calls(None, &both) }
    });
    assert_eq!(office.answer("Where are 1 and 2?").await, "Both are.");
    let key = |call: &Received| {
        call.head.to_ascii_lowercase().split("idempotency-key: ").nth(1).unwrap().split("\r\n").next().unwrap().to_owned()
    };
    let keys: Vec<String> = shop.received().iter().map(key).collect();
    assert!(keys.len() == 3 && keys[1] != keys[2], "{keys:?}");
    // Arguments that do not fit go nowhere.
    for bad in [r#"{"order": "../admin"}"#, r#"{"order": "1", "tenant_id": 2}"#, "nonsense", "[]"] {
        office.model.script(asks_once("order_status", bad));
        assert!(office.answer("Where is it?").await.contains("arguments"), "{bad}");
    }
    assert_eq!(shop.received().len(), 3);
    // Trouble is told to the model, which goes on.
    shop.script(|_| (500, json!({"error": "no"})));
    office.model.script(asks_once("order_status", r#"{"order": "1"}"#));
    assert!(office.answer("And this one?").await.contains("HTTP 500"));
    // A tool that the tenant may not use any more is not offered.
    let permissions = format!("/api/admin/tenants/{}/permissions", office.ann.tenant);
    office.app.put(&office.ann, &permissions, json!({"tool_ids": []})).await.expect(200);
    assert!(office.answer("And this one?").await.contains("no tool"));
}

#[tokio::test]
async fn a_tool_that_answers_later_is_heard_once_and_the_customer_is_told() {
    let shop = Provider::start().await;
    shop.script(|_| (202, json!({"status": "queued"})));
    let host = shop.url.trim_start_matches("http://").to_owned();
    let office =
        Office::open_with(true, &[("SWITCHBOARD_ALLOW_HOSTS", host.as_str()), ("PUBLIC_URL", "https://switchboard.example")]).await;
    let config = json!({"url": format!("{}/quotes", shop.url), "method": "POST", "asynchronous": true});
    let schema = json!({"type": "object", "properties": {"item": {"type": "string"}}});
    let made = office
        .app
        .post(&office.ann, "/api/admin/tools", json!({"name": "Quote", "config": config, "input_schema": schema}))
        .await
        .expect(201);
    office.gives_tools(&[made["id"].as_str().unwrap()]).await;
    office.model.script(|call| {
        let messages = body(call)["messages"].clone();
        let turns = messages.as_array().unwrap();
        let answered =
            turns.iter().find(|turn| turn["role"] == "system" && turn["content"].as_str().unwrap().contains("<answer tool=\"quote\""));
        match (answered, turns.iter().any(|turn| turn["role"] == "tool")) {
            (Some(answer), _) => says(if answer["content"].as_str().unwrap().contains("\"price\":7") { "It costs 7." } else { "?" }),
            (None, true) => says("I have asked."),
            (None, false) => calls(None, &[("quote", r#"{"item": "shoe"}"#)]),
        }
    });
    office.hears("wamid.1", "What does the shoe cost?").await;
    office.until_count("chat_messages WHERE status = 'sent'", 1).await;
    office.until_idle().await;
    assert_eq!(office.sent(), ["I have asked."]);
    let called = &shop.received()[0];
    let url = body(called)["callback_url"].as_str().unwrap().to_owned();
    assert!(called.head.contains(&format!("x-callback-url: {url}")), "{}", called.head);
    assert_eq!(body(called)["item"], "shoe");
    let path = url.strip_prefix("https://switchboard.example").unwrap().to_owned();
    // A forged, altered or foreign address does nothing.
    let eve = office.app.register("eve").await;
    let (before, signature) = path.split_once("signature=").unwrap();
    let other = if signature.starts_with('0') { "1" } else { "0" };
    let (segments, query) = path.split_once('?').unwrap();
    let (folder, call) = segments.rsplit_once('/').unwrap();
    let later = query.replacen("expires=1", "expires=2", 1);
    for bad in [
        segments.to_owned(),
        format!("{before}signature={other}{}", &signature[1..]),
        format!("{segments}?{later}"),
        format!("{folder}/{}?{query}", Uuid::new_v4()),
        format!("/api/tools/callbacks/{}/{call}?{query}", eve.tenant_number),
    ] {
        office.app.call("POST", &bad, None, json!({"price": 1})).await.expect(404);
    }
    office.app.send(office.app.request("POST", &path).header("content-type", "application/json").body("nonsense")).await.expect(422);
    // The first answer counts. The customer waits until the cooldown is over.
    assert_eq!(office.app.call("POST", &path, None, json!({"price": 7})).await.expect(200), json!({"status": "accepted"}));
    assert_eq!(office.app.call("POST", &path, None, json!({"price": 8})).await.expect(200), json!({"status": "already_answered"}));
    office.wait_over().await;
    office.until_count("chat_messages WHERE status = 'sent'", 2).await;
    office.until_idle().await;
    assert_eq!(office.sent(), ["I have asked.", "It costs 7."]);
    assert_eq!(office.count("tool_callbacks WHERE told_at IS NOT NULL AND arguments ->> 'item' = 'shoe'").await, 1);
    // Told, it is not told again.
    office.app.db.run("UPDATE chat_conversations SET auto_replied_at = NULL").await;
    office.model.script(|_| says("Good."));
    office.hears("wamid.2", "Thank you").await;
    office.until_count("chat_messages WHERE status = 'sent'", 3).await;
    assert!(!office.model.received().last().unwrap().body.contains("<answer"));
}

#[tokio::test]
async fn addresses_of_our_own_network_are_not_called() {
    let inside = Provider::start().await;
    let office = Office::open(true).await;
    let tool = json!({"name": "probe", "config": {"url": format!("{}/secrets", inside.url)}});
    let made = office.app.post(&office.ann, "/api/admin/tools", tool).await.expect(201);
    office.gives_tools(&[made["id"].as_str().unwrap()]).await;
    office.model.script(asks_once("probe", "{}"));
    assert!(office.answer("Look around").await.contains("private network"));
    assert!(inside.received().is_empty());
}

#[tokio::test]
async fn built_in_tools_write_once_and_for_this_customer_only() {
    let mut office = Office::open(true).await;
    let ids = [
        office.base_tool("create_ticket").await,
        office.base_tool("create_calendar_event").await,
        office.base_tool("customer_lookup").await,
    ];
    office.gives_tools(&ids.each_ref().map(String::as_str)).await;
    office.model.script(asks_once("customer_lookup", "{}"));
    let user = Uuid::new_v4();
    let said = json!({"message": "Who am I?", "user_id": user});
    office.app.post(&office.ann, &format!("/api/{}/chat", office.ann.tenant), said).await.expect(200);
    office.app.db.run("UPDATE customers SET name = 'Kim'").await;
    assert!(
        office
            .app
            .post(&office.ann, &format!("/api/{}/chat", office.ann.tenant), json!({"message": "And now?", "user_id": user}))
            .await
            .expect(200)["response"]
            .as_str()
            .unwrap()
            .contains("Kim")
    );
    // The worker dies when the ticket is made and the model thinks about it: there is one ticket, and one answer.
    office.model.script(asks_once("create_ticket", r#"{"subject": "Broken shoe", "priority": "high"}"#));
    office.model.answer(true);
    let model = &office.model;
    model.script(|call| {
        let told = body(call)["messages"].as_array().unwrap().iter().any(|turn| turn["role"] == "tool");
        if told {
            says("A ticket was made.")
        } else {
            calls(None, &[("create_ticket", r#"{"subject": "Broken shoe", "priority": "high"}"#)])
        }
    });
    office.hears("wamid.1", "My shoe is broken").await;
    office.until_count("tickets", 1).await;
    office.until_idle().await;
    office.model.answer(false);
    office.app.db.run("UPDATE chat_conversations SET auto_replied_at = NULL").await;
    let before = office.model.received().len();
    office.hears("wamid.2", "And the other one").await;
    until("the model is asked", async || office.model.received().len() == before + 1).await;
    office.app.kill_worker(0);
    office.model.answer(true);
    office.until_count("tickets", 2).await;
    office.until_idle().await;
    assert_eq!(office.count("tickets WHERE priority = 'high' AND conversation_id IS NOT NULL AND created_by IS NULL").await, 2);
    assert_eq!(office.sent(), ["A ticket was made.", "A ticket was made."]);
    // What cannot be stored is told to the model, and ends nothing.
    office.model.script(asks_once("create_ticket", r#"{"subject": "a\u0000b"}"#));
    assert!(office.answer("A ticket, please").await.contains("U+0000"));
    assert_eq!(office.count("tickets").await, 2);
    // Appointments.
    office.model.script(asks_once(
        "create_calendar_event",
        r#"{"title": "Fitting", "start_time": "2027-01-07T10:00:00Z", "end_time": "2027-01-07T09:00:00Z"}"#,
    ));
    assert!(office.answer("At ten?").await.contains("before it starts"));
    office.model.script(asks_once(
        "create_calendar_event",
        r#"{"title": "Fitting", "start_time": "2027-01-07T10:00:00Z", "end_time": "2027-01-07T11:00:00Z"}"#,
    ));
    assert!(office.answer("At ten?").await.contains("was made"));
    assert_eq!(office.count("calendar_events WHERE title = 'Fitting'").await, 1);
}

#[tokio::test]
async fn tools_are_made_changed_and_deleted_by_admins_of_their_tenant() {
    let office = Office::open(false).await;
    let tools = office.app.get(&office.ann, "/api/admin/tools").await.expect(200);
    assert_eq!(tools.as_array().unwrap().iter().filter(|tool| tool["is_base"] == true).count(), 6);
    let search = office.base_tool("knowledge_search").await;
    let made = office
        .app
        .post(&office.ann, "/api/admin/tools", json!({"base_tool_id": search, "name": "Look it up", "config": {}, "input_schema": {}}))
        .await
        .expect(201);
    let path = format!("/api/admin/tools/{}", made["id"].as_str().unwrap());
    let changed = office.app.put(&office.ann, &path, json!({"description": "Finds it", "is_active": false})).await.expect(200);
    assert_eq!(
        (&changed["name"], &changed["description"], &changed["is_active"]),
        (&json!("Look it up"), &json!("Finds it"), &json!(false))
    );
    assert_eq!(office.app.get(&office.ann, &path).await.expect(200), changed);
    office.app.post(&office.ann, "/api/admin/tools", json!({"base_tool_id": search, "name": "Look it up"})).await.expect(409);
    for bad in [
        json!({"name": "x"}),
        json!({"config": {"url": "https://example.com"}}),
        json!({"name": "x", "config": {"url": "ftp://example.com"}}),
        json!({"name": "x", "config": {"url": "https://example.com", "asynchronous": 1}}),
        json!({"name": "x", "config": {"url": "https://example.com"}, "input_schema": {"type": "text"}}),
        json!({"name": "x", "config": {"url": "https://example.com"}, "secrets": {"a b": "c"}}),
        json!({"name": "x", "base_tool_id": Uuid::new_v4()}),
        json!({"name": "x", "base_tool_id": search, "config": {"url": "https://example.com"}}),
    ] {
        office.app.post(&office.ann, "/api/admin/tools", bad.clone()).await.expect(422);
    }
    let (bob, eve) = (office.app.colleague(&office.ann, "bob", "agent").await, office.app.register("eve").await);
    office.app.get(&bob, "/api/admin/tools").await.expect(403);
    office.app.get(&eve, &path).await.expect(404);
    office.app.put(&eve, &path, json!({"name": "mine"})).await.expect(404);
    office.app.delete(&eve, &path).await.expect(404);
    let stolen = json!({"name": "Thief", "system_prompt": "x", "tool_ids": [made["id"]]});
    office.app.post(&eve, "/api/admin/agents", stolen).await.expect(422);
    office.app.delete(&office.ann, &path).await.expect(204);
    office.app.get(&office.ann, &path).await.expect(404);
}
